#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "lora/core/error.hpp"
#include "lora/core/finite.hpp"
#include "lora/core/matrix.hpp"
#include "lora/core/rounded.hpp"
#include "lora/frozen/coded_weight.hpp"
#include "lora/kernels/half_bits.hpp"
#include "lora/kernels/run_vector.hpp"

namespace lora {

/// The codes of an Int8Weight, each row filled up to whole runs with zeros.
class Int8Codes {
 public:
  /// Makes room for codes and scales, all 0.
  Int8Codes(Index rows, Index columns)
      : rows_(rows),
        columns_(columns),
        stride_(kernels::runs_of(columns) * kernels::run_length),
        codes_(static_cast<std::size_t>(rows * stride_)),
        scales_(static_cast<std::size_t>(rows)) {}

  [[nodiscard]] Index rows() const { return rows_; }
  [[nodiscard]] Index columns() const { return columns_; }
  [[nodiscard]] std::size_t bytes() const { return codes_.size() + scales_.size() * sizeof(float); }

  /// Returns where the codes of a row lie.
  [[nodiscard]] std::int8_t* row(Index o) { return codes_.data() + o * stride_; }
  [[nodiscard]] const std::int8_t* row(Index o) const { return codes_.data() + o * stride_; }

  /// Returns the largest magnitude of a row.
  [[nodiscard]] float& scale(Index o) { return scales_[static_cast<std::size_t>(o)]; }
  [[nodiscard]] float scale(Index o) const { return scales_[static_cast<std::size_t>(o)]; }

  /// Calls f with the CodedRows.
  template <class F>
  decltype(auto) visit(const F& f) const {
    return f(Rows{codes_.data(), scales_.data(), rows_, columns_, stride_});
  }

 private:
  struct Run {
    const std::int8_t* codes;
    float scale;

    [[nodiscard]] EIGEN_ALWAYS_INLINE kernels::RunVector vector(Index v) const {
      constexpr float step = 1.0F / 127;
      return kernels::floats_of(kernels::load_codes<std::int8_t>(codes + v * kernels::run_width)) *
             scale * step;
    }
  };

  struct Group {
    const std::int8_t* codes;
    float factor;

    [[nodiscard]] EIGEN_ALWAYS_INLINE const std::uint8_t* address() const {
      return reinterpret_cast<const std::uint8_t*>(codes);
    }
    [[nodiscard]] EIGEN_ALWAYS_INLINE kernels::RunVector vector(Index v) const {
      return kernels::floats_of(kernels::load_codes<std::int8_t>(codes + v * kernels::run_width));
    }
    [[nodiscard]] EIGEN_ALWAYS_INLINE kernels::RunVector scale() const {
      return kernels::run_vector(factor);
    }
  };

  // It holds pointers of its own, which stay in registers in loops.
  struct Rows {
    static constexpr Index group_vectors = 8, group_bytes = group_vectors * kernels::run_width;
    [[nodiscard]] static constexpr Index group_column(Index v, Index lane) {
      return v * kernels::run_width + lane;
    }

    const std::int8_t* codes;
    const float* scales;
    Index outputs, inputs, stride;

    [[nodiscard]] Index rows() const { return outputs; }
    [[nodiscard]] Index columns() const { return inputs; }
    [[nodiscard]] const std::uint8_t* address(Index row, Index r) const {
      return reinterpret_cast<const std::uint8_t*>(codes + row * stride + r * kernels::run_length);
    }
    [[nodiscard]] EIGEN_ALWAYS_INLINE Run run(Index row, Index r) const {
      return {codes + row * stride + r * kernels::run_length, scales[row]};
    }
    [[nodiscard]] EIGEN_ALWAYS_INLINE Group group(Index row, Index g) const {
      return {codes + row * stride + g * group_vectors * kernels::run_width,
              scales[row] * (1.0F / 127)};
    }
  };

  Index rows_, columns_, stride_;
  std::vector<std::int8_t> codes_;
  std::vector<float> scales_;
};

/// A frozen weight W (out_features, in_features) in integers of eight bits with one scale a row, as
/// bitsandbytes 0.50 has it (bnb.nn.Linear8bitLt, LLM.int8): W(o, i) = code * scale(o) / 127, scale
/// being the largest magnitude of the row. One byte a weight. Activations stay T: unlike the
/// original no column of x is rounded to eight bits. (For groups of 32 weights see BlockWeight's
/// Q8_0.)
///
/// Codes and scales are bitsandbytes' to the bit, which rounds W to half precision first, and so
/// are the numbers of dense(). Const calls may run at once.
template <class T>
class Int8Weight : public CodedWeight<T, Int8Codes> {
  using Base = CodedWeight<T, Int8Codes>;

 public:
  /// Rounds `weight` (out, in). Throws ConfigError for a number that is not finite, or beyond half
  /// precision's largest, 65504, which bitsandbytes stores as zeros.
  explicit Int8Weight(ConstMatrixRef<T> weight) : Base(encoded(weight)) {}

  /// Takes what bitsandbytes stored: `codes` (out, in) by row, and `scales` (out), its SCB. Throws
  /// ShapeError for sizes that do not belong together, ConfigError for a scale that is not finite
  /// or is negative.
  Int8Weight(std::span<const std::int8_t> codes, std::span<const float> scales, Index out_features,
             Index in_features)
      : Base(taken(codes, scales, out_features, in_features)) {}

  /// Returns the code of W(o, i).
  [[nodiscard]] std::int8_t code(Index o, Index i) const { return this->codes().row(o)[i]; }

  /// Returns the largest magnitude of row o.
  [[nodiscard]] float scale(Index o) const { return this->codes().scale(o); }

 private:
  static Int8Codes encoded(ConstMatrixRef<T> weight) {
    Int8Codes codes(weight.rows(), weight.cols());
    std::vector<float> row(static_cast<std::size_t>(weight.cols()));
    for (Index o = 0; o < weight.rows(); ++o) {
      float largest = 0;
      for (Index i = 0; i < weight.cols(); ++i) {
        const float half =
            kernels::float_of_half(kernels::half_of_float(static_cast<float>(weight(o, i))));
        if (!is_finite(half))
          throw ConfigError(message("Int8Weight: W(", o, ", ", i, ") = ", weight(o, i),
                                    ", expected a finite number up to 65504"));
        row[static_cast<std::size_t>(i)] = half;
        largest = std::max(largest, std::abs(half));
      }
      codes.scale(o) = largest;
      if (largest == 0) continue;
      // torch divides a number by a tensor so: it multiplies by the reciprocal.
      const float factor = rounded(1.0F / largest) * 127.0F;
      for (Index i = 0; i < weight.cols(); ++i)
        codes.row(o)[i] =
            static_cast<std::int8_t>(std::nearbyint(row[static_cast<std::size_t>(i)] * factor));
    }
    return codes;
  }

  static Int8Codes taken(std::span<const std::int8_t> stored, std::span<const float> scales,
                         Index out, Index in) {
    const bool fits =
        out >= 0 && in >= 0 && in <= std::numeric_limits<Index>::max() - kernels::run_length &&
        scales.size() == static_cast<std::size_t>(out) &&
        (out == 0
             ? stored.empty()
             : stored.size() % static_cast<std::size_t>(out) == 0 &&
                   stored.size() / static_cast<std::size_t>(out) == static_cast<std::size_t>(in));
    if (!fits)
      throw ShapeError(message("Int8Weight: ", stored.size(), " codes and ", scales.size(),
                               " scales of a W (", out, ", ", in, ")"));
    Int8Codes codes(out, in);
    for (Index o = 0; o < out; ++o) {
      const float scale = scales[static_cast<std::size_t>(o)];
      if (!is_finite(scale) || scale < 0)
        throw ConfigError(message("Int8Weight: the scale of row ", o, " is ", scale,
                                  ": the weight had a number that was not finite"));
      codes.scale(o) = scale;
      std::copy_n(stored.data() + o * in, in, codes.row(o));
    }
    return codes;
  }
};

}  // namespace lora
