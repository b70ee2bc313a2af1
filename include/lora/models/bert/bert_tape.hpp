#pragma once

#include "lora/models/common/token_tape.hpp"

namespace lora::models {

/// What backward needs of a BERT model's forward; see TokenTape.
template <class T>
using BertTape = TokenTape<T>;

}  // namespace lora::models
