#include <lora/kernels/decoded_rows.hpp>

#include <vector>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;
using namespace lora::kernels;

namespace {

// Floats, each row filled up to whole runs.
struct PlainRows {
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
  [[nodiscard]] const std::uint8_t* address(Index row, Index r) const {
    return reinterpret_cast<const std::uint8_t*>(run(row, r).at);
  }
};

}  // namespace

TEST_CASE("products of a few rows with decoded rows are those of their numbers") {
  static_assert(PlacedRows<PlainRows>);
  constexpr Index outputs = 59;  // more than a decoded block, and no whole number of them
  for (const Index columns : {20, 96, 420})
    for (const Index n : {2, 3, 5, 13, 16}) {
      CAPTURE(columns, n);
      const Index wide = runs_of(columns) * run_length, runs = runs_of(columns);
      Matrix<float> w = Matrix<float>::Zero(outputs, wide);
      w.leftCols(columns) = random_matrix<float>(outputs, columns, 1);
      const PlainRows rows{&w, columns};
      const Matrix<float> x = random_matrix<float>(n, columns, 2),
                          dy = random_matrix<float>(n, outputs, 3);
      const Matrix<double> wd = w.leftCols(columns).cast<double>();

      std::vector<float> memory(static_cast<std::size_t>(DotSets::size(n, columns)));
      const DotSets sets = DotSets::packed(x, memory.data());
      Matrix<float> y = Matrix<float>::Ones(n, outputs);
      MatrixRef<float> to_y(y);
      for (Index o = 0; o < outputs; o += decoded_outputs)
        add_decoded_dots(rows, sets, o, std::min(o + decoded_outputs, outputs), to_y);
      const Matrix<double> expected = (x.cast<double>() * wd.transpose()).array() + 1;
      CHECK(largest_difference(y, expected) <= Tolerance<float>(wide).value);

      // Cut where tasks may be.
      memory.resize(static_cast<std::size_t>(SumSets::size(n, outputs)));
      const auto left = SumSets::packed(dy, memory.data());
      Matrix<float> dx = Matrix<float>::Ones(n, columns), whole = dx;
      MatrixRef<float> to_dx(dx), to_whole(whole);
      for (Index r = 0; r < runs; r += 2)
        add_decoded_sums(rows, left, r, std::min(r + 2, runs), to_dx);
      add_decoded_sums(rows, left, 0, runs, to_whole);
      const Matrix<double> dx_expected = (dy.cast<double>() * wd).array() + 1;
      CHECK(largest_difference(dx, dx_expected) <= Tolerance<float>(outputs).value);
      CHECK(same_bits(dx, whole));
    }
}
