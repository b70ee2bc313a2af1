#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <optional>
#include <ranges>
#include <type_traits>
#include <utility>

#include "lora/core/output.hpp"

namespace lora {

/// A list of up to eight views of matrices, passed by value: `List` is made from any array, vector
/// or span of what converts to `View` by itself. Allocates nothing; what it views must outlive it.
template <class View>
class MatrixList {
 public:
  /// The most that a list holds. The size of a longer one is right, and what is beyond is left out.
  static constexpr std::size_t most = 8;

  /// Makes an empty list.
  MatrixList() = default;

  /// Views the matrices of `range`.
  template <std::ranges::input_range Range>
  requires(std::convertible_to<std::ranges::range_reference_t<Range>, View> &&
           !std::same_as<std::remove_cvref_t<Range>, MatrixList>)
      // NOLINTNEXTLINE(bugprone-forwarding-reference-overload): the constraint leaves copies out.
      MatrixList(Range&& range) {
    for (auto&& matrix : range) add(View(matrix));
  }

  /// Appends a view.
  void add(const View& view) {
    if (size_ < most) views_[size_].emplace(view);
    ++size_;
  }

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] const View& operator[](std::size_t i) const { return *views_[i]; }

 private:
  std::array<std::optional<View>, most> views_;
  std::size_t size_ = 0;
};

/// The inputs of a function of several: matrices, or memory of the caller's.
template <class T>
using InputList = MatrixList<ConstMatrixRef<T>>;

/// The outputs of a function of several: matrices, which are resized, or memory of the caller's.
template <class T>
using OutputList = MatrixList<Output<T>>;

}  // namespace lora
