#include <lora/frozen/mapped_weight.hpp>

#include <memory>

#include "contracts/frozen_weight.hpp"

using namespace lora;
using namespace lora::test;

namespace {
// Memory of its own beside a view of it, so that the contract can hold both in one object.
template <class T, Layout layout, Index padding>
struct Mapped {
  using Scalar = T;
  explicit Mapped(const Matrix<T>& w)
      : memory(std::make_shared<Matrix<T>>(stored(w))),
        view(MappedWeight<T>::writable(memory->data(), w.rows(), w.cols(), layout,
                                       memory->cols())) {}
  static Matrix<T> stored(const Matrix<T>& w) {
    const Matrix<T> s = layout == Layout::row_major ? w : Matrix<T>(w.transpose());
    Matrix<T> padded = Matrix<T>::Constant(s.rows(), s.cols() + padding, T(3));
    padded.leftCols(s.cols()) = s;
    return padded;
  }
  Index out_features() const { return view.out_features(); }
  Index in_features() const { return view.in_features(); }
  void add_product(ConstMatrixRef<T> x, MatrixRef<T> y) const { view.add_product(x, y); }
  void add_transposed_product(ConstMatrixRef<T> dy, MatrixRef<T> dx) const {
    view.add_transposed_product(dy, dx);
  }
  kernels::MatrixPanels<T> panels() const { return view.panels(); }
  kernels::MatrixPanels<T> transposed_panels() const { return view.transposed_panels(); }
  Matrix<T> dense() const { return view.dense(); }
  std::size_t bytes() const { return view.bytes(); }
  bool writable() const { return view.writable(); }
  void add_low_rank(T s, ConstMatrixRef<T> b, ConstMatrixRef<T> a) {
    view.add_low_rank(s, b, a);
    const Index used = memory->cols() - padding;
    CHECK((memory->rightCols(memory->cols() - used).array() == T(3)).all());
  }
  void assign(ConstMatrixRef<T> w) { view.assign(w); }

  std::shared_ptr<Matrix<T>> memory;
  MappedWeight<T> view;
};

template <class T, Layout layout, Index padding>
void check_mapped() {
  check_storage<T>([](const Matrix<T>& w) { return Mapped<T, layout, padding>(w); });
}
}  // namespace

TEMPLATE_TEST_CASE("MappedWeight keeps the contract in both layouts, with and without a stride", "",
                   float, double) {
  check_mapped<TestType, Layout::row_major, 0>();
  check_mapped<TestType, Layout::row_major, 5>();
  check_mapped<TestType, Layout::column_major, 0>();
  check_mapped<TestType, Layout::column_major, 3>();
}

TEST_CASE("MappedWeight borrows: it owns no bytes and sees the caller's changes") {
  Matrix<float> w = random_matrix<float>(4, 3, 1);
  const MappedWeight<float> weight(w.data(), 4, 3);
  CHECK(weight.bytes() == 0);
  w(2, 1) = 42;
  CHECK(weight.dense()(2, 1) == 42);
}

TEST_CASE("MappedWeight reads only unless the memory was handed over as writable") {
  Matrix<float> w = random_matrix<float>(4, 3, 1);
  const Matrix<float> kept = w;
  MappedWeight<float> weight(w.data(), 4, 3);
  const Matrix<float> a = random_matrix<float>(2, 3, 2), b = random_matrix<float>(4, 2, 3);
  CHECK_FALSE(weight.writable());
  CHECK_THROWS_AS(weight.add_low_rank(1.0F, b, a), StateError);
  CHECK_THROWS_AS(weight.assign(kept), StateError);
  CHECK(same_bits(w, kept));
}

TEST_CASE("MappedWeight refuses memory that cannot be a weight") {
  const float data[12] = {};
  CHECK_THROWS_AS((MappedWeight<float>(nullptr, 4, 3)), ShapeError);
  CHECK_THROWS_AS((MappedWeight<float>(data, -4, 3)), ShapeError);
  CHECK_THROWS_AS((MappedWeight<float>(data, 4, -3)), ShapeError);
  CHECK_THROWS_WITH((MappedWeight<float>(data, 4, 3, Layout::row_major, 2)),
                    "MappedWeight: outer_stride is 2, expected at least 3 for the shape (4, 3)");
  CHECK_THROWS_AS((MappedWeight<float>(data, 4, 3, Layout::column_major, 3)), ShapeError);
  CHECK_NOTHROW(MappedWeight<float>(nullptr, 0, 3));
}
