#pragma once

#include <cmath>
#include <cstddef>
#include <functional>
#include <lora/frozen/frozen_weight.hpp>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace lora::bench {

/// Holds a frozen weight in one of its storages, which of them hidden, so that all of them can be
/// timed in turns.
struct StorageUnderTest {
  using Product = std::function<void(ConstMatrixRef<float>, MatrixRef<float>)>;

  std::string name;
  double bytes_per_weight = 0;
  std::optional<double> error = {};  ///< see relative_error; none for a W that was not rounded from
  Product add_product;               ///< y += x W^T
  Product add_transposed_product;    ///< dx += dy W
};

/// Returns the root mean square of `rounded` - `weight` over that of `weight`.
[[nodiscard]] inline double relative_error(const Matrix<float>& rounded,
                                           const Matrix<float>& weight) {
  double difference = 0, whole = 0;
  for (Index o = 0; o < weight.rows(); ++o) {
    difference += (rounded.row(o) - weight.row(o)).cast<double>().squaredNorm();
    whole += weight.row(o).cast<double>().squaredNorm();
  }
  return std::sqrt(difference / whole);
}

/// Takes `weight` in; `original` is what it was rounded from, if anything. `bytes` are what it
/// reads where it owns less.
template <FrozenWeight W>
[[nodiscard]] StorageUnderTest storage_under_test(std::string name, W weight,
                                                  const Matrix<float>* original,
                                                  std::size_t bytes = 0) {
  const auto held = std::make_shared<const W>(std::move(weight));
  const auto count =
      static_cast<double>(held->out_features()) * static_cast<double>(held->in_features());
  StorageUnderTest storage;
  storage.name = std::move(name);
  storage.bytes_per_weight = static_cast<double>(bytes == 0 ? held->bytes() : bytes) / count;
  if (original != nullptr) storage.error = relative_error(held->dense(), *original);
  storage.add_product = [held](ConstMatrixRef<float> x, MatrixRef<float> y) {
    held->add_product(x, y);
  };
  storage.add_transposed_product = [held](ConstMatrixRef<float> dy, MatrixRef<float> dx) {
    held->add_transposed_product(dy, dx);
  };
  return storage;
}

}  // namespace lora::bench
