#pragma once

// What a language model writes: choosing tokens, going on from a cache. It needs Eigen alone.

#include "lora/generation/causal_model.hpp"
#include "lora/generation/generate.hpp"
#include "lora/generation/sampling.hpp"
#include "lora/generation/stop_strings.hpp"
