#pragma once

#include <array>

#include "lora/core/matrix.hpp"
#include "lora/core/packets.hpp"
#include "lora/kernels/tile_shape.hpp"

namespace lora::kernels {

/// Panels that row_product reads side by side: one stream from memory is too few to keep it busy.
inline constexpr Index row_product_panels = 4;

/// Computes out[p * TileShape<T>::columns + j] = sum over k < depth of
/// x[k] panels[p][k * TileShape<T>::columns + j]: one row times four full panels, of which
/// load(address) returns a packet of T.
template <class T, class Stored, class Load>
void row_product(const T* x, Index depth,
                 const std::array<const Stored*, row_product_panels>& panels, const Load& load,
                 T* out) {
  namespace ei = Eigen::internal;
  constexpr Index width = Simd<T>::width, vectors = TileShape<T>::vectors;
  constexpr Index columns = TileShape<T>::columns;
  // In rows of a panel: a page or so. (The builtin itself: see tile.hpp.)
  constexpr Index ahead = 24;
  Packet<T> sums[row_product_panels * vectors];
  unroll<row_product_panels * vectors>([&](Index i) __attribute__((always_inline)) {
    sums[i] = ei::pset1<Packet<T>>(T(0));
  });
  for (Index k = 0; k < depth; ++k) {
    const auto l = ei::pset1<Packet<T>>(x[k]);
    unroll<row_product_panels>([&](Index p) __attribute__((always_inline)) {
      const Stored* const row = panels[static_cast<std::size_t>(p)] + k * columns;
      unroll<vectors>([&](Index v) __attribute__((always_inline)) {
        const Index i = p * vectors + v;
        __builtin_prefetch(row + ahead * columns + v * width);
        sums[i] = ei::pmadd(l, load(row + v * width), sums[i]);
      });
    });
  }
  unroll<row_product_panels * vectors>([&](Index i) __attribute__((always_inline)) {
    ei::pstoreu(out + i * width, sums[i]);
  });
}

/// The same over panels of T.
template <class T>
void row_product(const T* x, Index depth, const std::array<const T*, row_product_panels>& panels,
                 T* out) {
  row_product<T, T>(
      x, depth, panels, [](const T* at) __attribute__((always_inline)) {
        return Eigen::internal::ploadu<Packet<T>>(at);
      },
      out);
}

}  // namespace lora::kernels
