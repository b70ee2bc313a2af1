#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "lora/core/matrix.hpp"
#include "lora/core/parallel.hpp"
#include "lora/core/scratch.hpp"
#include "lora/frozen/frozen_weight.hpp"

namespace lora {

/// Says whether merge() keeps what unmerge() needs.
enum class MergeMode {
  reversible,  ///< keeps a copy of W (out x in) until unmerge(), which gives back its bits
  permanent,   ///< keeps nothing; unmerge() throws
};

namespace detail {

// A step of FNV-1a over words. The rotation brings high bits down, which a product only moves up:
// two signs that change would cancel.
[[nodiscard]] inline std::uint64_t next_checksum(std::uint64_t sum, std::uint64_t word) {
  return (std::rotl(sum, 23) ^ word) * 0x100000001B3;
}

template <class T>
[[nodiscard]] std::uint64_t row_checksum(const T* row, Index count) {
  constexpr Index each = sizeof(std::uint64_t) / sizeof(T);
  const auto word = [&](Index at, Index elements) {
    std::uint64_t bits = 0;
    std::memcpy(&bits, row + at, static_cast<std::size_t>(elements) * sizeof(T));
    return bits;
  };
  // Four sums, so that one multiplication need not wait for another.
  std::uint64_t a = 1, b = 2, c = 3, d = 4;
  Index j = 0;
  for (; j + 4 * each <= count; j += 4 * each) {
    a = next_checksum(a, word(j, each));
    b = next_checksum(b, word(j + each, each));
    c = next_checksum(c, word(j + 2 * each, each));
    d = next_checksum(d, word(j + 3 * each, each));
  }
  for (; j < count; ++j) a = next_checksum(a, word(j, 1));
  return next_checksum(next_checksum(next_checksum(a, b), c), d);
}

/// Returns a checksum of every bit of `matrix`, the same for any number of threads.
template <class T>
[[nodiscard]] std::uint64_t checksum(ConstMatrixRef<T> matrix) {
  const Index rows = matrix.rows(), cols = matrix.cols();
  Scratch scratch;
  auto* const of_row = scratch.take<std::uint64_t>(rows);
  const double work = static_cast<double>(rows) * static_cast<double>(cols);
  parallel_for(rows, threads_for(rows, work), [&](Index i) {
    of_row[i] = row_checksum(matrix.data() + i * matrix.outerStride(), cols);
  });
  std::uint64_t sum = 0xCBF29CE484222325;
  for (Index i = 0; i < rows; ++i) sum = next_checksum(sum, of_row[i]);
  return sum;
}

}  // namespace detail

/// What a layer whose adapter is merged into its weight keeps: with MergeMode::reversible the
/// weight as it was, and a checksum of what merging made of it. Two layers that merge into one
/// memory can therefore undo that only in the reverse order.
template <class T>
class MergeRecord {
 public:
  [[nodiscard]] bool merged() const { return merged_; }

  /// Adds scale * b a to `weight`: b (out, R), a (R, in).
  template <class Weight>
  requires MergeableWeight<Weight, T>
  void merge(Weight& weight, T scale, ConstMatrixRef<T> b, ConstMatrixRef<T> a, MergeMode mode) {
    change(weight, mode, [&] { weight.add_low_rank(scale, b, a); });
  }

  /// Sets `weight` to `merged`, which has its shape, instead of adding factors.
  template <class Weight>
  requires MergeableWeight<Weight, T>
  void merge(Weight& weight, ConstMatrixRef<T> merged, MergeMode mode) {
    change(weight, mode, [&] { weight.assign(merged); });
  }

  /// Gives `weight` back the bits that it had before merge. Throws StateError, naming `where`,
  /// unless it was merged reversibly and is what merge left.
  template <class Weight, class Where>
  requires MergeableWeight<Weight, T>
  void unmerge(Weight& weight, const Where& where) {
    if (!merged_) throw StateError(message(where, ": the adapter is not merged"));
    if (mode_ == MergeMode::permanent)
      throw StateError(message(where, ": the adapter was merged with MergeMode::permanent"));
    if (checksum_of(weight) != checksum_)
      throw StateError(message(where,
                               ": the weight is not what merge() left, so that its old bits would "
                               "be another's too: if a layer over the same memory has merged after "
                               "this one, unmerge that first"));
    weight.assign(original_);
    original_ = Matrix<T>();
    merged_ = false;
  }

 private:
  template <class Weight, class Change>
  void change(Weight& weight, MergeMode mode, const Change& merge_into) {
    if (mode == MergeMode::reversible) original_ = weight.dense();
    merge_into();
    merged_ = true;
    mode_ = mode;
    if (mode == MergeMode::reversible) checksum_ = checksum_of(weight);
  }

  template <class Weight>
  [[nodiscard]] static std::uint64_t checksum_of(const Weight& weight) {
    if constexpr (requires { ConstMatrixRef<T>(weight.matrix()); })
      return detail::checksum<T>(weight.matrix());
    else
      return detail::checksum<T>(weight.dense());
  }

  Matrix<T> original_;
  std::uint64_t checksum_ = 0;
  MergeMode mode_ = MergeMode::reversible;
  bool merged_ = false;
};

}  // namespace lora
