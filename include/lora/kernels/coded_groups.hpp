#pragma once

#include <algorithm>
#include <concepts>
#include <cstdint>

#include "lora/core/matrix.hpp"
#include "lora/kernels/coded_rows.hpp"
#include "lora/kernels/run_vector.hpp"
#include "lora/kernels/tile_shape.hpp"

namespace lora::kernels {

/// CodedRows that can also be read in groups of columns as their codes lie, and without scaling
/// each number:
///
///     group_vectors            the vectors of a group, which is whole runs of one row
///     group_bytes              the bytes of its codes
///     group_column(v, lane)    the column, counted in the group, of a lane of vector v
///     group(row, g).vector(v)  the numbers of vector v, not scaled
///     group(row, g).scale()    what they are multiplied by, lane by lane, the same for every v
///     group(row, g).address()  where its codes begin
///
/// A product with one row of x takes the columns in a group's order, and scales sums.
template <class R>
concept CodedGroups = CodedRows<R> && requires(const R& rows, Index i) {
  { R::group_column(i, i) } -> std::convertible_to<Index>;
  { rows.group(i, i).vector(i) } -> std::convertible_to<RunVector>;
  { rows.group(i, i).scale() } -> std::convertible_to<RunVector>;
  { rows.group(i, i).address() } -> std::same_as<const std::uint8_t*>;
};

/// The columns of a group, and the whole groups that `columns` columns have: those left over are
/// taken run by run.
template <CodedGroups Rows>
inline constexpr Index group_columns = Rows::group_vectors* run_width;

namespace detail {

inline constexpr Index cache_line = 64;  // bytes

template <CodedGroups Rows>
inline constexpr Index lines_of = (Rows::group_bytes + cache_line - 1) / cache_line;

}  // namespace detail

/// Calls body(column, place) for every column of a group: the place is where its vectors, one after
/// another, have it.
template <CodedGroups Rows, class Body>
void each_group_column(const Body& body) {
  for (Index v = 0; v < Rows::group_vectors; ++v)
    for (Index lane = 0; lane < run_width; ++lane)
      body(Rows::group_column(v, lane), v * run_width + lane);
}

/// Adds to y(o - first) the sum over k of x(k) W(o, k), for `first` <= o < `last` and the columns k
/// of `groups` groups. x has each group's columns in their place.
///
/// Products are of numbers that are not scaled yet, up to 127 of int8: beyond |x| of 2.6e36, where
/// 127 x overflows, y may be infinite though the scaled products are not. (Scaling x down instead
/// would take bits of the smallest.)
template <CodedGroups Rows>
void add_group_dots(Rows rows, const float* x, Index first, Index last, Index groups, float* y) {
  constexpr Index vectors = Rows::group_vectors, chains = 2;
  constexpr Index ahead = 8192;  // bytes: further than the processor itself reads ahead
  for (Index o = first; o < last; ++o) {
    RunVector sum = {};
    for (Index g = 0; g < groups; ++g) {
      const auto group = rows.group(o, g);
      unroll<detail::lines_of<Rows>>([&](Index i) __attribute__((always_inline)) {
        __builtin_prefetch(group.address() + ahead + i * detail::cache_line);
      });
      const float* const at = x + g * group_columns<Rows>;
      RunVector parts[chains];
      unroll<vectors>([&](Index v) __attribute__((always_inline)) {
        const RunVector numbers = group.vector(v), left = load_run_vector(at + v * run_width);
        if (v < chains)
          parts[v] = numbers * left;
        else
          parts[v % chains] += numbers * left;
      });
      sum += group.scale() * (parts[0] + parts[1]);
    }
    y[o - first] += sum_of(sum);
  }
}

namespace detail {

// Asks memory for pieces of rows, a group at a time, in the order in which they lie: what reads
// several rows at once is no stream that the processor sees.
class GroupsAhead {
 public:
  // The pieces, of `groups` groups of `bytes` each, begin at `first`, `stride` bytes apart.
  GroupsAhead(const std::uint8_t* first, Index groups, Index bytes, Index stride)
      : next_(first), groups_(groups), left_(groups), bytes_(bytes), stride_(stride) {}

  // Asks for Lines lines, the next group's.
  template <Index Lines>
  EIGEN_ALWAYS_INLINE void ask() {
    unroll<Lines>([&](Index i) __attribute__((always_inline)) {
      __builtin_prefetch(next_ + i * cache_line);
    });
    next_ += bytes_;
    if (--left_ != 0) return;
    left_ = groups_;
    next_ += stride_ - groups_ * bytes_;
  }

 private:
  const std::uint8_t* next_;
  Index groups_, left_, bytes_, stride_;
};

// What add_group_sums does, for outputs o to o + Streams - 1.
template <Index Streams, CodedGroups Rows>
EIGEN_ALWAYS_INLINE void add_group_sums_of(Rows rows, Index o, const float* dy, Index begin,
                                           Index end, GroupsAhead& ahead, float* dx) {
  constexpr Index vectors = Rows::group_vectors;
  for (Index g = begin; g < end; ++g, dx += group_columns<Rows>) {
    RunVector sums[vectors];
    unroll<vectors>([&](Index v) __attribute__((always_inline)) {
      sums[v] = load_run_vector(dx + v * run_width);
    });
    unroll<Streams>([&](Index s) __attribute__((always_inline)) {
      const auto group = rows.group(o + s, g);
      if constexpr (Streams > 1) ahead.template ask<lines_of<Rows>>();
      const RunVector factor = group.scale() * dy[o + s];
      unroll<vectors>([&](Index v)
                          __attribute__((always_inline)) { sums[v] += factor * group.vector(v); });
    });
    unroll<vectors>([&](Index v) __attribute__((always_inline)) {
      store_run_vector(dx + v * run_width, sums[v]);
    });
  }
}

}  // namespace detail

/// Adds to dx the sum over o of dy(o) W(o, k), for the columns k of groups `begin` to `end`, each
/// group's columns in their place. dx begins at group `begin`, and stays in the first-level cache
/// meanwhile.
template <CodedGroups Rows>
void add_group_sums(Rows rows, const float* dy, Index begin, Index end, float* dx) {
  // Fewer where a group is one line: then their order in memory is nearer.
  constexpr Index streams = detail::lines_of < Rows >> 1 ? 8 : 4;
  constexpr Index enough = 8192;  // bytes: further than the processor itself reads ahead
  const Index outputs = rows.rows();
  const std::uint8_t* const first = rows.group(0, begin).address();
  const Index stride = outputs > 1 ? rows.group(1, begin).address() - first : enough;
  const Index next = round_up((enough + stride - 1) / stride, streams);
  detail::GroupsAhead ahead(first + next * stride, end - begin, Rows::group_bytes, stride);
  Index o = 0;
  for (; o + streams <= outputs; o += streams)
    detail::add_group_sums_of<streams>(rows, o, dy, begin, end, ahead, dx);
  for (; o < outputs; ++o) detail::add_group_sums_of<1>(rows, o, dy, begin, end, ahead, dx);
}

}  // namespace lora::kernels
