#pragma once

#include <array>
#include <cmath>
#include <limits>
#include <type_traits>

#include "lora/core/matrix.hpp"

namespace lora {

/// The widest vector register that the compiler may use for T, through Eigen's packets: the same
/// code compiles to AVX-512, AVX2, SSE, NEON. Scalars other than float and double, and all of them
/// where there are no vectors, are their own packet of one.
template <class T>
struct Simd {
  static constexpr bool has_vectors = std::is_same_v<T, float> || std::is_same_v<T, double>;
  using Packet = typename std::conditional_t<has_vectors, Eigen::internal::packet_traits<T>,
                                             std::type_identity<T>>::type;
  /// Scalars in a packet.
  static constexpr Index width = Eigen::internal::unpacket_traits<Packet>::size;
  /// Registers that hold packets.
  static constexpr Index registers = EIGEN_ARCH_DEFAULT_NUMBER_OF_REGISTERS;
};

template <class T>
using Packet = typename Simd<T>::Packet;

/// Loops over contiguous arrays, a packet at a time, with a function object that works on
/// `Packet<T>` through Eigen::internal's packet functions (padd, pmul, pexp ...).
///
/// Unlike Eigen's own loops they never look at the alignment of an address: element i always goes
/// through the same operations, and sums have one order. So the bits of a result follow from its
/// inputs alone, on whatever memory and any number of threads, and a run can be repeated exactly.
namespace packets {

/// Loads a full packet from `data`, of which `count` elements exist; the others are zeros.
template <class T>
[[nodiscard]] Packet<T> load_part(const T* data, Index count) {
  std::array<T, static_cast<std::size_t>(Simd<T>::width)> full{};
  for (Index i = 0; i < count; ++i) full[static_cast<std::size_t>(i)] = data[i];
  return Eigen::internal::ploadu<Packet<T>>(full.data());
}

/// Returns `packet` with zeros in place of its elements from `count` on.
template <class T>
[[nodiscard]] Packet<T> first_of(const Packet<T>& packet, Index count) {
  std::array<T, static_cast<std::size_t>(Simd<T>::width)> full;
  Eigen::internal::pstoreu(full.data(), packet);
  return load_part(full.data(), count);
}

/// Stores the first `count` elements of `packet` to `out`, and returns it with zeros after them.
template <class T>
Packet<T> store_part(T* out, const Packet<T>& packet, Index count) {
  std::array<T, static_cast<std::size_t>(Simd<T>::width)> full;
  Eigen::internal::pstoreu(full.data(), packet);
  for (Index i = 0; i < count; ++i) out[i] = full[static_cast<std::size_t>(i)];
  return load_part(full.data(), count);
}

/// Computes out[i] = f(in[i]...) for i in [0, count); out may be any of the inputs.
template <class T, class F, class... In>
void transform(Index count, T* out, const F& f, const In*... in) {
  constexpr Index size = Simd<T>::width;
  Index i = 0;
  for (; i + size <= count; i += size)
    Eigen::internal::pstoreu(out + i, f(Eigen::internal::ploadu<Packet<T>>(in + i)...));
  if constexpr (size > 1)
    if (i < count)
      static_cast<void>(store_part<T>(out + i, f(load_part(in + i, count - i)...), count - i));
}

/// Computes out[i] = f(in[i]...) as `transform` does, and returns the sum of out.
template <class T, class F, class... In>
T transform_and_sum(Index count, T* out, const F& f, const In*... in) {
  namespace ei = Eigen::internal;
  constexpr Index size = Simd<T>::width;
  auto sum = ei::pset1<Packet<T>>(T(0));
  Index i = 0;
  for (; i + size <= count; i += size) {
    const Packet<T> value = f(ei::ploadu<Packet<T>>(in + i)...);
    ei::pstoreu(out + i, value);
    sum = ei::padd(sum, value);
  }
  if constexpr (size > 1)
    if (i < count)
      sum = ei::padd(sum, store_part<T>(out + i, f(load_part(in + i, count - i)...), count - i));
  return ei::predux(sum);
}

/// Returns the sum over i in [0, count) of f(in[i]...).
template <class T, class F, class... In>
[[nodiscard]] T sum(Index count, const F& f, const T* first, const In*... in) {
  namespace ei = Eigen::internal;
  constexpr Index size = Simd<T>::width;
  const auto at = [&](Index i) {
    return f(ei::ploadu<Packet<T>>(first + i), ei::ploadu<Packet<T>>(in + i)...);
  };
  // Four sums at a time, because an addition takes the time of several loads.
  const auto zero = ei::pset1<Packet<T>>(T(0));
  Packet<T> sum0 = zero, sum1 = zero, sum2 = zero, sum3 = zero;
  Index i = 0;
  for (; i + 4 * size <= count; i += 4 * size) {
    sum0 = ei::padd(sum0, at(i));
    sum1 = ei::padd(sum1, at(i + size));
    sum2 = ei::padd(sum2, at(i + 2 * size));
    sum3 = ei::padd(sum3, at(i + 3 * size));
  }
  for (; i + size <= count; i += size) sum0 = ei::padd(sum0, at(i));
  if constexpr (size > 1)
    if (i < count)
      sum1 = ei::padd(
          sum1, first_of<T>(f(load_part(first + i, count - i), load_part(in + i, count - i)...),
                            count - i));
  return ei::predux(ei::padd(ei::padd(sum0, sum1), ei::padd(sum2, sum3)));
}

/// Returns the largest of in[0 ... count), the lowest finite number for none.
template <class T>
[[nodiscard]] T largest(Index count, const T* in) {
  namespace ei = Eigen::internal;
  constexpr Index size = Simd<T>::width;
  T best = count > 0 ? in[0] : std::numeric_limits<T>::lowest();
  Index i = 0;
  if (count >= size) {
    auto most = ei::ploadu<Packet<T>>(in);
    for (i = size; i + size <= count; i += size)
      most = ei::pmax(most, ei::ploadu<Packet<T>>(in + i));
    best = ei::predux_max(most);
  }
  for (; i < count; ++i)
    if (in[i] > best) best = in[i];
  return best;
}

/// Returns e^x, and zero where that would be below the smallest normal number: e^-infinity is 0,
/// which Eigen's own function does not promise.
template <class T>
[[nodiscard]] Packet<T> exp(const Packet<T>& x) {
  namespace ei = Eigen::internal;
  // The logarithm of the smallest normal number.
  constexpr double lowest = (std::numeric_limits<T>::min_exponent - 1) * 0.6931471805599453;
  if constexpr (Simd<T>::width == 1) {
    using std::exp;
    return x < T(lowest) ? T(0) : exp(x);
  } else {
    const Packet<T> e = ei::pexp(x);
    return ei::pandnot(e, ei::pcmp_lt(x, ei::pset1<Packet<T>>(static_cast<T>(lowest))));
  }
}

}  // namespace packets
}  // namespace lora
