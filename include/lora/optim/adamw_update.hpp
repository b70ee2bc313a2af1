#pragma once

#include "lora/core/matrix.hpp"
#include "lora/core/packets.hpp"

namespace lora {

/// The numbers of one AdamW step that are the same for every element of a parameter.
template <class T>
struct AdamWStep {
  T shrink;      ///< 1 - lr weight_decay
  T w1;          ///< 1 - beta1
  bool near_g;   ///< w1 is at least 1/2: m is computed from g, as torch.lerp does
  T beta2;       ///< beta2
  T w2;          ///< 1 - beta2
  T step_size;   ///< lr / (1 - beta1^t)
  T correction;  ///< sqrt(1 - beta2^t)
  T epsilon;     ///< added to the denominator
};

namespace detail {

// Updates one packet, or one scalar, at the four addresses.
template <class P, class T>
EIGEN_STRONG_INLINE void adamw_elements(const AdamWStep<T>& step, T* p, const T* g, T* m, T* v) {
  namespace ei = Eigen::internal;
  const auto all = [](T value) { return ei::pset1<P>(value); };
  const auto grad = ei::ploadu<P>(g);
  const auto old_m = ei::ploadu<P>(m);
  const P change = ei::psub(grad, old_m);
  const P new_m = step.near_g ? ei::psub(grad, ei::pmul(change, all(T(1) - step.w1)))
                              : ei::padd(old_m, ei::pmul(all(step.w1), change));
  const P new_v = ei::padd(ei::pmul(ei::ploadu<P>(v), all(step.beta2)),
                           ei::pmul(ei::pmul(all(step.w2), grad), grad));
  const P denominator =
      ei::padd(ei::pdiv(ei::psqrt(new_v), all(step.correction)), all(step.epsilon));
  const P moved = ei::pdiv(ei::pmul(all(step.step_size), new_m), denominator);
  ei::pstoreu(m, new_m);
  ei::pstoreu(v, new_v);
  ei::pstoreu(p, ei::psub(ei::pmul(ei::ploadu<P>(p), all(step.shrink)), moved));
}

}  // namespace detail

/// Updates `count` elements of a parameter p with gradient g and moments m and v, each read and
/// written once, in PyTorch's order of operations:
///
///     m = m + w1 (g - m), or g - (g - m) (1 - w1) where w1 >= 1/2,
///     v = beta2 v + (w2 g) g,
///     p = p shrink - (step_size m) / (sqrt(v) / correction + epsilon)
template <class T>
void adamw_update(const AdamWStep<T>& step, Index count, T* p, const T* g, T* m, T* v) {
  constexpr Index width = Simd<T>::width;
  Index i = 0;
  for (; i + width <= count; i += width)
    detail::adamw_elements<Packet<T>>(step, p + i, g + i, m + i, v + i);
  for (; i < count; ++i) detail::adamw_elements<T>(step, p + i, g + i, m + i, v + i);
}

}  // namespace lora
