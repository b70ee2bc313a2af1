#pragma once

#include <cmath>
#include <type_traits>
#include <utility>

#include "lora/core/finite.hpp"
#include "lora/core/matrix.hpp"
#include "lora/frozen/frozen_weight.hpp"

namespace lora {

/// What became of an update D when W + D was rounded to the numbers that a storage has: Q(W + D).
/// W^ is the weight that the update was made for, as its storage decodes it.
struct RequantiseReport {
  /// <Q(W + D) - W^, D> / <D, D>: 1 where all of the update arrived, about 0 where the result is
  /// W^ again. 1 for a D of zeros.
  double kept = 1;

  /// Share of the elements which D is to change whose code is what it was: for them the update was
  /// less than half a step. Of storages that do not show their codes (no `code(o, i)`), and where
  /// both storages differ in type, numbers are compared; under a scale that changed with the update
  /// these all move a little, so this is then the least that it can be.
  double unchanged = 0;

  /// |Q(W + D) - (W + D)| / |W + D|, in Frobenius norms.
  double relative_error = 0;
};

/// A weight that was rounded to a storage's numbers, and what that made of the update in it.
template <class Storage>
struct Requantised {
  Storage weight;
  RequantiseReport report;
};

namespace detail {

template <class Storage>
concept ShowsCodes = requires(const Storage& weight) {
  weight.code(Index{}, Index{});
};

template <class Storage>
concept CodesShowCodes = requires(const Storage& weight) {
  weight.codes().code(Index{}, Index{});
};

template <class Storage>
[[nodiscard]] auto code_of(const Storage& weight, Index o, Index i) {
  if constexpr (ShowsCodes<Storage>)
    return weight.code(o, i);
  else
    return weight.codes().code(o, i);
}

// `start` + `delta` rounded, and compared with what `base` holds.
template <class T, class Frozen, class Make>
[[nodiscard]] auto requantised(const Frozen& base, Matrix<T> base_numbers, Matrix<T> sum,
                               ConstMatrixRef<T> delta, const Make& make) {
  using Storage = std::decay_t<decltype(make(ConstMatrixRef<T>(sum)))>;
  static_assert(FrozenWeight<Storage, T>, "make(matrix) must return a storage of frozen weights");
  for (Index o = 0; o < delta.rows(); ++o)
    for (Index i = 0; i < delta.cols(); ++i)
      if (!is_finite(delta(o, i)))
        throw ConfigError(message("requantised: delta(", o, ", ", i, ") = ", delta(o, i),
                                  " is not a finite number"));
  Requantised<Storage> result{make(ConstMatrixRef<T>(sum)), {}};
  const Matrix<T> rounded = result.weight.dense();
  require_shape(rounded, delta.rows(), delta.cols(), "requantised", "the storage that make gives",
                "out_features", "in_features");
  double arrived = 0, asked = 0, error = 0, size = 0;
  Index changing = 0, unchanged = 0;
  for (Index o = 0; o < sum.rows(); ++o)
    for (Index i = 0; i < sum.cols(); ++i) {
      const auto d = static_cast<double>(delta(o, i)), goal = static_cast<double>(sum(o, i));
      const auto q = static_cast<double>(rounded(o, i));
      arrived += (q - static_cast<double>(base_numbers(o, i))) * d;
      asked += d * d;
      error += (q - goal) * (q - goal);
      size += goal * goal;
      if (d == 0) continue;
      ++changing;
      if constexpr (std::is_same_v<Storage, Frozen> &&
                    (ShowsCodes<Storage> || CodesShowCodes<Storage>))
        unchanged += code_of(base, o, i) == code_of(result.weight, o, i) ? 1 : 0;
      else
        unchanged += base_numbers(o, i) == rounded(o, i) ? 1 : 0;
    }
  if (asked > 0) result.report.kept = arrived / asked;
  if (changing > 0)
    result.report.unchanged = static_cast<double>(unchanged) / static_cast<double>(changing);
  if (size > 0) result.report.relative_error = std::sqrt(error / size);
  return result;
}

}  // namespace detail

/// Returns Q(W^ + D) and what it kept of D: W^ (out, in) are the numbers of `base`, D (out, in) is
/// `delta`, and `make(matrix)` rounds a matrix (out, in) to a storage:
///
///     auto [weight, report] = requantised<float>(
///         base, delta, [](auto w) { return NF4Weight<float>(w); });
///
/// Look at the report. The numbers of `base` lie in the middle of what is rounded to them, so that
/// an update of less than half a step moves nothing: of one of 1 % of W (in root mean square), NF4
/// keeps 1.5 %, eight bits a row 87 %. Where the matrix that `base` was rounded from is still at
/// hand, requantised_from keeps nearly all of it. Throws ShapeError for a delta of another shape,
/// ConfigError for one with a number that is not finite, and what `make` throws.
template <class T, class Frozen, class Make>
requires FrozenWeight<Frozen, T>
[[nodiscard]] auto requantised(const Frozen& base, std::type_identity_t<ConstMatrixRef<T>> delta,
                               const Make& make) {
  require_shape(delta, base.out_features(), base.in_features(), "requantised", "delta",
                "out_features", "in_features");
  Matrix<T> numbers = base.dense();
  Matrix<T> sum = numbers + delta;
  return detail::requantised<T>(base, std::move(numbers), std::move(sum), delta, make);
}

/// Returns Q(W + D) and what it kept of D, W (out, in) being the full-precision matrix that `base`
/// was rounded from. The distances from W to its codes act like a dither, so on average the update
/// arrives however small it is: 0.98 to 1.04 of it for updates from 0.1 % to 10 % of W. `kept` and
/// `unchanged` are measured from `base`. Throws ShapeError for matrices of other shapes,
/// ConfigError for a delta with a number that is not finite, and what `make` throws.
template <class T, class Frozen, class Make>
requires FrozenWeight<Frozen, T>
[[nodiscard]] auto requantised_from(std::type_identity_t<ConstMatrixRef<T>> original,
                                    const Frozen& base,
                                    std::type_identity_t<ConstMatrixRef<T>> delta,
                                    const Make& make) {
  const Index out = base.out_features(), in = base.in_features();
  require_shape(original, out, in, "requantised_from", "original", "out_features", "in_features");
  require_shape(delta, out, in, "requantised_from", "delta", "out_features", "in_features");
  Matrix<T> sum = original + delta;
  return detail::requantised<T>(base, base.dense(), std::move(sum), delta, make);
}

}  // namespace lora
