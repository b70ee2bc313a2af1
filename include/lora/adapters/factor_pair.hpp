#pragma once

#include "lora/core/finite.hpp"
#include "lora/core/matrix.hpp"

namespace lora {

/// The factors of an update B A, with nothing else to multiply it by.
template <class T>
struct FactorPair {
  Matrix<T> a;  ///< A (rank, in)
  Matrix<T> b;  ///< B (out, rank)
};

/// Throws ShapeError, naming `where` and `what`, unless B has a column for each row of A, of which
/// there is at least one, and ConfigError for a number that is not finite.
template <class T, class Where>
void require_factors(ConstMatrixRef<T> a, ConstMatrixRef<T> b, const Where& where,
                     std::string_view what = "the update") {
  if (a.rows() < 1 || a.rows() != b.cols())
    throw ShapeError(message(where, ": A and B of ", what, " are ", shape_of(a), " and ",
                             shape_of(b), ", expected (rank, in) and (out, rank)"));
  if (!all_finite<T>(a) || !all_finite<T>(b))
    throw ConfigError(message(where, ": ", all_finite<T>(a) ? 'B' : 'A', " of ", what,
                              " has a number that is not finite"));
}

}  // namespace lora
