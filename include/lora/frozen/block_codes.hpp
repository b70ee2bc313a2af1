#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "lora/core/matrix.hpp"
#include "lora/kernels/block_format.hpp"
#include "lora/kernels/block_runs.hpp"
#include "lora/kernels/plain_runs.hpp"
#include "lora/kernels/visit_format.hpp"

namespace lora {

/// The CodedRows of a W (rows, columns) in blocks of one format; columns are whole blocks.
template <class Block>
class BlockRows {
 public:
  BlockRows(const std::uint8_t* data, Index rows, Index columns)
      : data_(data),
        rows_(rows),
        columns_(columns),
        row_bytes_(columns / kernels::block_weights<Block> * Block::bytes) {}

  [[nodiscard]] Index rows() const { return rows_; }
  [[nodiscard]] Index columns() const { return columns_; }

  /// Returns where the codes of row `row` from run `r` on begin.
  [[nodiscard]] const std::uint8_t* address(Index row, Index r) const {
    constexpr Index size = kernels::block_weights<Block>;
    return data_ + row * row_bytes_ + r * kernels::run_length / size * Block::bytes;
  }

  [[nodiscard]] EIGEN_ALWAYS_INLINE auto run(Index row, Index r) const {
    constexpr Index size = kernels::block_weights<Block>;
    const std::uint8_t* const at = data_ + row * row_bytes_;
    if constexpr (size == 1) {
      const Index first = r * kernels::run_length;
      return kernels::PlainRun<Block>(at + first * Block::bytes, columns_ - first);
    } else {
      constexpr Index runs = size / kernels::run_length;
      return kernels::BlockRun<Block>(at + r / runs * Block::bytes, r % runs);
    }
  }

 private:
  const std::uint8_t* data_;
  Index rows_, columns_, row_bytes_;
};

/// The blocks of a BlockWeight, in memory of its own or of another.
class BlockCodes {
 public:
  /// Looks at the blocks at `data`, which `owner` keeps alive where it is not null; `bytes` of them
  /// count as this object's.
  BlockCodes(kernels::BlockFormat format, const std::uint8_t* data, Index rows, Index columns,
             std::shared_ptr<const void> owner, std::size_t bytes)
      : format_(format),
        data_(data),
        rows_(rows),
        columns_(columns),
        owner_(std::move(owner)),
        bytes_(bytes) {}

  [[nodiscard]] Index rows() const { return rows_; }
  [[nodiscard]] Index columns() const { return columns_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  [[nodiscard]] kernels::BlockFormat format() const { return format_; }

  /// Calls f with the CodedRows.
  template <class F>
  decltype(auto) visit(const F& f) const {
    return kernels::visit_format(format_, [&]<class Block>(Block) -> decltype(auto) {
      return f(BlockRows<Block>(data_, rows_, columns_));
    });
  }

 private:
  kernels::BlockFormat format_;
  const std::uint8_t* data_;
  Index rows_, columns_;
  std::shared_ptr<const void> owner_;
  std::size_t bytes_;
};

}  // namespace lora
