#pragma once

#include "lora/core/matrix.hpp"
#include "lora/core/packets.hpp"
#include "lora/kernels/pack.hpp"

namespace lora::kernels {

/// Adds alpha * sum over k < depth of a[k * a_step] b[k * stride + j] to c[j] for j < count: one
/// row of a product, of any depth, whose right side is small enough to stay in the cache;
/// add_one_row_product is for large ones.
template <class T>
void add_scaled_rows(const T* a, Index a_step, Index depth, T alpha, const T* b, Index stride,
                     Index count, T* c) {
  namespace ei = Eigen::internal;
  constexpr Index width = Simd<T>::width, packets = 4;  // so many sums hide an addition's time
  Index j = 0;
  for (; j + packets * width <= count; j += packets * width) {
    Packet<T> sums[packets];
    unroll<packets>([&](Index p) __attribute__((always_inline)) {
      sums[p] = ei::ploadu<Packet<T>>(c + j + p * width);
    });
    for (Index k = 0; k < depth; ++k) {
      const auto factor = ei::pset1<Packet<T>>(alpha * a[k * a_step]);
      const T* const row = b + k * stride + j;
      unroll<packets>([&](Index p) __attribute__((always_inline)) {
        sums[p] = ei::pmadd(factor, ei::ploadu<Packet<T>>(row + p * width), sums[p]);
      });
    }
    unroll<packets>([&](Index p) __attribute__((always_inline)) {
      ei::pstoreu(c + j + p * width, sums[p]);
    });
  }
  for (; j < count; ++j) {
    T sum = c[j];
    for (Index k = 0; k < depth; ++k) sum += alpha * a[k * a_step] * b[k * stride + j];
    c[j] = sum;
  }
}

}  // namespace lora::kernels
