#include <lora/kernels/coded_rows.hpp>

#include <vector>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;
using namespace lora::kernels;

namespace {

// Floats, each row filled up to whole runs.
struct FloatRows {
  const Matrix<float>* weight;
  Index count;

  struct Run {
    const float* at;
    [[nodiscard]] RunVector vector(Index v) const { return load_run_vector(at + v * run_width); }
  };

  [[nodiscard]] Index rows() const { return weight->rows(); }
  [[nodiscard]] Index columns() const { return count; }
  [[nodiscard]] Run run(Index row, Index r) const {
    return {weight->data() + row * weight->cols() + r * run_length};
  }
};

}  // namespace

TEST_CASE("products of a row with coded rows are those of their numbers") {
  static_assert(CodedRows<FloatRows>);
  for (const Index columns : {1, 31, 32, 100}) {
    CAPTURE(columns);
    const Index wide = runs_of(columns) * run_length;
    const Matrix<float> w = random_matrix<float>(13, wide, 1);
    const FloatRows rows{&w, columns};
    Matrix<float> x = Matrix<float>::Zero(1, wide);
    x.leftCols(columns) = random_matrix<float>(1, columns, 2);
    const Matrix<float> dy = random_matrix<float>(1, 13, 3);
    const Matrix<double> wd = w.cast<double>();
    // Outputs 3 to 11.
    Matrix<float> y = Matrix<float>::Ones(1, 8), dx = Matrix<float>::Ones(1, wide);
    add_coded_dots(rows, x.data(), 3, 11, 0, 1, y.data());
    add_coded_dots(rows, x.data(), 3, 11, 1, runs_of(columns), y.data());
    const Matrix<double> expected =
        (x.cast<double>() * wd.transpose()).middleCols(3, 8).array() + 1;
    CHECK(largest_difference(y, expected) <= Tolerance<float>(wide).value);
    add_coded_sums(rows, dy.data(), 0, runs_of(columns), dx.data());
    const Matrix<double> dx_expected = (dy.cast<double>() * wd).array() + 1;
    CHECK(largest_difference(dx, dx_expected) <= Tolerance<float>(13).value);
  }
}
