#pragma once

#include <lora/io/dtype.hpp>
#include <lora/io/gguf/gguf_type.hpp>

#include "options.hpp"

namespace adaptertool::detail {

[[nodiscard]] inline lora::io::DType dtype_of(const Options& options) {
  if (options.dtype == "F16") return lora::io::DType::F16;
  return options.dtype == "BF16" ? lora::io::DType::BF16 : lora::io::DType::F32;
}

[[nodiscard]] inline lora::io::GgufType gguf_type_of(const Options& options) {
  using lora::io::GgufType;
  if (options.dtype == "F16") return GgufType::F16;
  return options.dtype == "BF16" ? GgufType::BF16 : GgufType::F32;
}

}  // namespace adaptertool::detail
