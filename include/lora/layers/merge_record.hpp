#pragma once

#include <bit>
#include <cstdint>
#include <type_traits>

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

/// Returns a checksum of every bit of `matrix`, the same for any number of threads.
template <class T>
[[nodiscard]] std::uint64_t checksum(ConstMatrixRef<T> matrix) {
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  static_assert(sizeof(Bits) == sizeof(T));
  constexpr std::uint64_t prime = 0x100000001B3;  // FNV-1a over words, row by row
  const Index rows = matrix.rows(), cols = matrix.cols();
  Scratch scratch;
  auto* const of_row = scratch.take<std::uint64_t>(rows);
  const double work = static_cast<double>(rows) * static_cast<double>(cols);
  parallel_for(rows, threads_for(rows, work), [&](Index i) {
    const T* const row = matrix.data() + i * matrix.outerStride();
    std::uint64_t lanes[4] = {1, 2, 3, 4};  // so that one multiplication need not wait for another
    for (Index j = 0; j < cols; ++j)
      lanes[j % 4] = (lanes[j % 4] ^ std::bit_cast<Bits>(row[j])) * prime;
    of_row[i] = lanes[0];
    for (int k = 1; k < 4; ++k) of_row[i] = (of_row[i] ^ lanes[k]) * prime;
  });
  std::uint64_t sum = 0xCBF29CE484222325;
  for (Index i = 0; i < rows; ++i) sum = (sum ^ of_row[i]) * prime;
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

  /// Lets `weight` be `merged`, of its shape.
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
