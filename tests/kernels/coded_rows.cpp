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

TEST_CASE("products of a few rows with coded rows are those of their numbers") {
  static_assert(CodedRows<FloatRows>);
  for (const Index columns : {1, 31, 32, 100}) {
    const Index wide = runs_of(columns) * run_length;
    Matrix<float> w = random_matrix<float>(13, wide, 1);
    const FloatRows rows{&w, columns};
    Matrix<float> x = Matrix<float>::Zero(4, wide);
    x.leftCols(columns) = random_matrix<float>(4, columns, 2);
    const Matrix<float> dy = random_matrix<float>(4, 13, 3);
    const Matrix<double> wd = w.cast<double>(), xd = x.cast<double>(), dyd = dy.cast<double>();
    const auto check = [&](auto band) {
      CAPTURE(columns, Index(band));
      // Outputs 3 to 11.
      Matrix<float> y = Matrix<float>::Ones(4, 8), dx = Matrix<float>::Ones(4, wide);
      add_coded_dots<band>(rows, x.data(), wide, 3, 11, 0, 1, y.data(), 8);
      add_coded_dots<band>(rows, x.data(), wide, 3, 11, 1, runs_of(columns), y.data(), 8);
      const Matrix<double> expected = (xd * wd.transpose()).middleCols(3, 8).array() + 1;
      CHECK(largest_difference(Matrix<float>(y.topRows(band)), expected.topRows(band)) <=
            Tolerance<float>(wide).value);
      CHECK((y.bottomRows(4 - band).array() == 1.0F).all());
      add_coded_sums<band>(rows, dy.data(), 13, 0, runs_of(columns), dx.data(), wide);
      const Matrix<double> dx_expected = (dyd * wd).array() + 1;
      CHECK(largest_difference(Matrix<float>(dx.topRows(band)), dx_expected.topRows(band)) <=
            Tolerance<float>(13).value);
    };
    check(std::integral_constant<Index, 1>());
    check(std::integral_constant<Index, coded_row_band>());
  }
}
