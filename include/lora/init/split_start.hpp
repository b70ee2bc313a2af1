#pragma once

#include <utility>

#include "lora/core/finite.hpp"
#include "lora/core/matrix.hpp"
#include "lora/init/start_factors.hpp"
#include "lora/kernels/product.hpp"

namespace lora {

/// A start that moves part of a weight W (out, in) into the adapter, where it trains:
///
///     base + s B A = W
///
/// The adapter belongs to this base. Beside W itself, as others have it in a file, it would add
/// that part a second time: PlainAdapter makes an adapter for W out of it.
template <class T>
struct SplitStart : StartFactors<T> {
  Matrix<T> base;  ///< W - s B A (out, in)
};

namespace detail {

/// Takes what `start` has of A and B out of W. Throws ConfigError, naming `where`, if a number of
/// the base is not finite.
template <class T, class Where>
void split_base(ConstMatrixRef<T> weight, double scaling, SplitStart<T>& start,
                const Where& where) {
  start.base = weight;
  add_product(start.base, static_cast<T>(-scaling), start.b, start.a);
  if (!all_finite<T>(start.base))
    throw ConfigError(message(where, ": scaling is ", scaling,
                              ", under which W - s B A is not finite in this scalar type"));
}

}  // namespace detail
}  // namespace lora
