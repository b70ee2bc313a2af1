#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <type_traits>

#include "lora/core/matrix.hpp"

namespace lora {

/// What a forward notes of its input x (N, I), so that backward can tell whether it is given the
/// same: the address, the shape, and the bits of up to sixteen elements spread over it. Whoever
/// writes another batch into x between forward and backward is found out, but for luck.
template <class T>
class InputMark {
 public:
  /// Marks nothing: any input passes.
  InputMark() = default;

  /// Marks `x`.
  explicit InputMark(ConstMatrixRef<T> x)
      : data_(x.data()), rows_(x.rows()), cols_(x.cols()), sample_(sample(x)), marked_(true) {}

  /// Throws StateError, naming `where` and calling it `what`, unless x is what was marked.
  template <class Where>
  void require(ConstMatrixRef<T> x, const Where& where, const char* what = "x") const {
    if (!marked_) return;
    require_shape_of(x, where, what);
    if (data_ != nullptr && x.data() != data_ && x.size() > 0)
      throw StateError(message(where, ": ", what,
                               " lies elsewhere than in the forward on the tape: backward takes "
                               "the ",
                               what, " of its own forward, in the reverse order of the forwards"));
    require_sample_of(x, where, what);
  }

  /// Lets `require` pass a copy of what was marked too.
  void allow_copies() { data_ = nullptr; }

  /// Does the same for what may also be a copy of what was marked.
  template <class Where>
  void require_elements(ConstMatrixRef<T> x, const Where& where, const char* what = "x") const {
    if (!marked_) return;
    require_shape_of(x, where, what);
    require_sample_of(x, where, what);
  }

 private:
  template <class Where>
  void require_shape_of(const ConstMatrixRef<T>& x, const Where& where, const char* what) const {
    if (x.rows() != rows_ || x.cols() != cols_)
      throw StateError(message(where, ": ", what, " is ", shape_of(x), ", expected the (", rows_,
                               ", ", cols_, ") of the forward on the tape"));
  }

  template <class Where>
  void require_sample_of(const ConstMatrixRef<T>& x, const Where& where, const char* what) const {
    if (sample(x) != sample_)
      throw StateError(message(where, ": the elements of ", what,
                               " are not those of the forward on the tape: keep ", what,
                               " as it is until backward"));
  }

  // Not inlined: unrolled it is kilobytes, in each of the places that call it.
  [[gnu::noinline]] static std::uint64_t sample(const ConstMatrixRef<T>& x) {
    using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
    const Index size = x.rows() * x.cols();
    const Index count = std::min<Index>(size, 16);
    std::uint64_t hash = 0xCBF29CE484222325;  // FNV-1a over words
    for (Index i = 0; i < count; ++i) {
      const Index at = count == size ? i : i * (size - 1) / (count - 1);
      hash = (hash ^ std::bit_cast<Bits>(x(at / x.cols(), at % x.cols()))) * 0x100000001B3;
    }
    return hash;
  }

  const T* data_ = nullptr;  // null: anywhere
  Index rows_ = 0, cols_ = 0;
  std::uint64_t sample_ = 0;
  bool marked_ = false;
};

}  // namespace lora
