#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>

#include "lora/io/dtype.hpp"
#include "lora/kernels/block_format.hpp"

namespace lora::models {

/// The rows of a matrix as a file has them, which a BlockWeight looks at.
struct StoredRows {
  kernels::BlockFormat format = kernels::BlockFormat::F32;
  std::span<const std::byte> bytes = {};
  std::shared_ptr<const void> owner = {};  ///< of the bytes: the mapped file, or a copy
  std::size_t copied = 0;                  ///< bytes of such a copy
};

/// Returns the format of rows of that type in a safetensors file, or nothing for types that
/// BlockWeight does not read.
[[nodiscard]] constexpr std::optional<kernels::BlockFormat> row_format(io::DType dtype) {
  switch (dtype) {
    case io::DType::F32:
      return kernels::BlockFormat::F32;
    case io::DType::F16:
      return kernels::BlockFormat::F16;
    case io::DType::BF16:
      return kernels::BlockFormat::BF16;
    default:
      return std::nullopt;
  }
}

}  // namespace lora::models
