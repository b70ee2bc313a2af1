#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
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

  // A group: as many bytes as a vector has, each lane four of them, of which vector v takes the
  // four bits from 4 v on. Every run of it has a scale.
  template <class Scales>
  class ScaledGroup {
   public:
    // `first` is the flat place of its first number; `even` where neighbours of two runs, from the
    // first on, share a scale.
    ScaledGroup(const std::uint8_t* codes, const Scales& scales, std::size_t first, int shift,
                bool even)
        : address_(codes), scales_(scales), first_(first), shift_(shift), even_(even) {
      std::memcpy(&codes_, codes, sizeof(codes_));
    }

    [[nodiscard]] EIGEN_ALWAYS_INLINE const std::uint8_t* address() const { return address_; }

    [[nodiscard]] EIGEN_ALWAYS_INLINE kernels::RunVector vector(Index v) const {
      return kernels::RunTable(Format::values.data()).at(codes_ >> static_cast<int>(4 * v));
    }

    [[nodiscard]] EIGEN_ALWAYS_INLINE kernels::RunVector scale() const {
      constexpr int runs = int(kernels::run_width) / run_lanes;
      kernels::RunVector scale = kernels::run_vector(scales_(first_ >> shift_));
      for (int r = 1; r < runs; ++r)
        if (r % 2 == 0 || !even_)
          scale = kernels::run_lanes() < r * run_lanes ? scale : kernels::run_vector(run_scale(r));
      return scale;
    }

   private:
    static constexpr int run_lanes = int(run_bytes) / 4;

    [[nodiscard]] EIGEN_ALWAYS_INLINE float run_scale(int r) const {
      return scales_((first_ + static_cast<std::size_t>(r * kernels::run_length)) >> shift_);
    }

    const std::uint8_t* address_;
    const Scales& scales_;
    std::size_t first_;
    int shift_;
    bool even_;
    kernels::RunInts codes_;
  };

  // W whose rows are whole runs. It holds pointers of its own, which stay in registers in loops.
  template <class Scales>
  struct ScaledRows {
    static constexpr Index group_vectors = 8, group_bytes = 4 * kernels::run_width;

    [[nodiscard]] static constexpr Index group_column(Index v, Index lane) {
      const Index byte = 4 * lane + v / 2;
      return byte / run_bytes * kernels::run_length + byte % run_bytes + v % 2 * run_bytes;
    }

    const std::uint8_t* data;
    Scales scales;
    Index outputs, inputs;
    int shift;

    [[nodiscard]] Index rows() const { return outputs; }
    [[nodiscard]] Index columns() const { return inputs; }
    [[nodiscard]] const std::uint8_t* address(Index row, Index r) const {
      return data + row * (inputs / 2) + r * run_bytes;
    }
    [[nodiscard]] EIGEN_ALWAYS_INLINE ScaledRun run(Index row, Index r) const {
      const auto flat = static_cast<std::size_t>(row * inputs + r * kernels::run_length);
      return {data + row * (inputs / 2) + r * run_bytes, scales(flat >> shift)};
    }
    [[nodiscard]] EIGEN_ALWAYS_INLINE ScaledGroup<Scales> group(Index row, Index g) const {
      constexpr Index columns_of_group = group_vectors * kernels::run_width;
      const Index flat = row * inputs + g * columns_of_group;
      return {data + flat / 2, scales, static_cast<std::size_t>(flat), shift,
              shift >= 6 && inputs % 64 == 0};
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
