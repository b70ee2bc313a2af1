#pragma once

// Training runs: epochs, batches, checkpoints, progress; they need Eigen and
// nlohmann-json (target lora::io).

#include "lora/train/accumulation.hpp"
#include "lora/train/batches.hpp"
#include "lora/train/early_stopping.hpp"
#include "lora/train/fingerprint.hpp"
#include "lora/train/history.hpp"
#include "lora/train/metrics_log.hpp"
#include "lora/train/observer.hpp"
#include "lora/train/optimizer_settings.hpp"
#include "lora/train/run_checkpoint.hpp"
#include "lora/train/run_settings.hpp"
#include "lora/train/split.hpp"
#include "lora/train/task.hpp"
#include "lora/train/trainer.hpp"
#include "lora/train/trainer_options.hpp"
