#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "lora/io/safetensors/safetensors_writer.hpp"

namespace lora::io {

/// Returns the tensor that says how many batches a batch norm has seen, `norm.num_batches_tracked`:
/// PyTorch and PEFT insist on it wherever they read the norm's statistics. Nothing depends on the
/// number, which is not kept here and written as 0.
[[nodiscard]] inline Tensor batch_count(const std::string& norm) {
  return {
      norm + ".num_batches_tracked", DType::I64, {}, std::vector<std::byte>(sizeof(std::int64_t))};
}

}  // namespace lora::io
