#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "lora/core/matrix.hpp"
#include "lora/frozen/four_bit_scales.hpp"
#include "lora/kernels/block_runs.hpp"
#include "lora/kernels/coded_rows.hpp"
#include "lora/kernels/four_bit_codes.hpp"
#include "lora/kernels/run_vector.hpp"

namespace lora {

/// The codes of a W (rows, columns) of four bits, each row filled up to whole runs: number i of a
/// run lies in the low half of byte i, or in the high half of byte i - 16. Scales belong to blocks
/// of W's numbers in their flat order, row after row, as bitsandbytes counts them.
template <class Format>
class FourBitCodes {
 public:
  /// Bytes of the codes of a run.
  static constexpr Index run_bytes = kernels::run_length / 2;

  /// Takes the scales of blocks of 2^shift numbers, of at least one run; every code is 0.
  FourBitCodes(Index rows, Index columns, int shift, FourBitScales scales)
      : rows_(rows),
        columns_(columns),
        shift_(shift),
        scales_(std::move(scales)),
        codes_(static_cast<std::size_t>(rows * kernels::runs_of(columns) * run_bytes)) {}

  [[nodiscard]] Index rows() const { return rows_; }
  [[nodiscard]] Index columns() const { return columns_; }
  [[nodiscard]] std::size_t bytes() const { return codes_.size() + scales_.bytes(); }
  [[nodiscard]] const FourBitScales& scales() const { return scales_; }

  /// Returns the code of one number.
  [[nodiscard]] std::uint8_t code(Index row, Index column) const {
    const std::uint8_t byte = codes_[place(row, column)];
    return static_cast<std::uint8_t>(is_high(column) ? byte >> 4 : byte & 15);
  }

  /// Sets a code that is 0.
  void set_code(Index row, Index column, std::uint8_t code) {
    codes_[place(row, column)] |= static_cast<std::uint8_t>(is_high(column) ? code << 4 : code);
  }

  /// Calls f with the CodedRows.
  template <class F>
  decltype(auto) visit(const F& f) const {
    // Where rows are whole runs, no run straddles two blocks.
    if (columns_ % kernels::run_length != 0) return f(MixedRows{this});
    if (scales_.is_nested()) return f(rows_of(scales_.nested()));
    return f(rows_of(scales_.plain()));
  }

 private:
  // A run of one scale.
  class ScaledRun {
   public:
    ScaledRun(const std::uint8_t* codes, float scale)
        : codes_(codes), table_(kernels::RunTable(Format::values.data()).scaled(scale)) {}

    [[nodiscard]] EIGEN_ALWAYS_INLINE kernels::RunVector vector(Index v) const {
      return table_.at(kernels::detail::split_codes(codes_, v));
    }

   private:
    const std::uint8_t* codes_;
    kernels::RunTable table_;
  };

  // A run whose numbers are decoded one by one.
  class MixedRun {
   public:
    MixedRun(const FourBitCodes& codes, Index row, Index first) {
      const Index count = std::min(kernels::run_length, codes.columns_ - first);
      for (Index i = 0; i < count; ++i) {
        const auto flat = static_cast<std::size_t>(row * codes.columns_ + first + i);
        numbers_[static_cast<std::size_t>(i)] =
            Format::values[codes.code(row, first + i)] * codes.scales_(flat >> codes.shift_);
      }
    }

    [[nodiscard]] kernels::RunVector vector(Index v) const {
      return kernels::load_run_vector(numbers_.data() + v * kernels::run_width);
    }

   private:
    std::array<float, static_cast<std::size_t>(kernels::run_length)> numbers_{};
  };

  // W whose rows are whole runs. It holds pointers of its own, which stay in registers in loops.
  template <class Scales>
  struct ScaledRows {
    const std::uint8_t* data;
    Scales scales;
    Index outputs, inputs;
    int shift;

    [[nodiscard]] Index rows() const { return outputs; }
    [[nodiscard]] Index columns() const { return inputs; }
    [[nodiscard]] EIGEN_ALWAYS_INLINE ScaledRun run(Index row, Index r) const {
      const auto flat = static_cast<std::size_t>(row * inputs + r * kernels::run_length);
      return {data + row * (inputs / 2) + r * run_bytes, scales(flat >> shift)};
    }
  };

  template <class Scales>
  [[nodiscard]] ScaledRows<Scales> rows_of(const Scales& scales) const {
    return {codes_.data(), scales, rows_, columns_, shift_};
  }

  struct MixedRows {
    const FourBitCodes* codes;

    [[nodiscard]] Index rows() const { return codes->rows_; }
    [[nodiscard]] Index columns() const { return codes->columns_; }
    [[nodiscard]] MixedRun run(Index row, Index r) const {
      return {*codes, row, r * kernels::run_length};
    }
  };

  [[nodiscard]] std::size_t place(Index row, Index column) const {
    const Index run = row * kernels::runs_of(columns_) + column / kernels::run_length;
    return static_cast<std::size_t>(run * run_bytes + column % run_bytes);
  }

  [[nodiscard]] static bool is_high(Index column) {
    return column % kernels::run_length >= run_bytes;
  }

  Index rows_, columns_;
  int shift_;
  FourBitScales scales_;
  std::vector<std::uint8_t> codes_;
};

}  // namespace lora
