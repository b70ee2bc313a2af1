#include <lora/kernels/coded_groups.hpp>

#include <array>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;
using namespace lora::kernels;

namespace {

// Floats of which a group has 64, the last columns first.
struct BackwardRows {
  static constexpr Index group_vectors = 64 / run_width, group_bytes = 256;
  static Index group_column(Index v, Index lane) { return 63 - (v * run_width + lane); }

  const Matrix<float>* weight;

  struct Run {
    const float* at;
    [[nodiscard]] RunVector vector(Index v) const { return load_run_vector(at + v * run_width); }
  };

  struct Group {
    const float* at;
    [[nodiscard]] const std::uint8_t* address() const {
      return reinterpret_cast<const std::uint8_t*>(at);
    }
    [[nodiscard]] RunVector vector(Index v) const {
      RunVector numbers;
      for (int lane = 0; lane < run_width; ++lane)
        numbers[lane] = at[group_column(v, lane)] / (lane % 2 == 0 ? 2.0F : 4.0F);
      return numbers;
    }
    [[nodiscard]] RunVector scale() const {
      RunVector scale;
      for (int lane = 0; lane < run_width; ++lane) scale[lane] = lane % 2 == 0 ? 2.0F : 4.0F;
      return scale;
    }
  };

  [[nodiscard]] Index rows() const { return weight->rows(); }
  [[nodiscard]] Index columns() const { return weight->cols(); }
  [[nodiscard]] Run run(Index row, Index r) const {
    return {weight->data() + row * weight->cols() + r * run_length};
  }
  [[nodiscard]] Group group(Index row, Index g) const {
    return {weight->data() + row * weight->cols() + g * 64};
  }
};

}  // namespace

TEST_CASE("products of a row with coded groups are those of their numbers") {
  static_assert(CodedGroups<BackwardRows>);
  static_assert(group_columns<BackwardRows> == 64);
  const Matrix<float> w = random_matrix<float>(13, 192, 1), x = random_matrix<float>(1, 192, 2),
                      dy = random_matrix<float>(1, 13, 3);
  const Matrix<double> wd = w.cast<double>();
  const BackwardRows rows{&w};
  Matrix<float> placed(1, 192);
  for (Index k = 0; k < 192; k += 64)
    each_group_column<BackwardRows>(
        [&](Index column, Index place) { placed(0, k + place) = x(0, k + column); });

  // Outputs 3 to 11.
  Matrix<float> y = Matrix<float>::Ones(1, 8);
  add_group_dots(rows, placed.data(), 3, 11, 3, y.data());
  const Matrix<double> expected = (x.cast<double>() * wd.transpose()).middleCols(3, 8).array() + 1;
  CHECK(largest_difference(y, expected) <= Tolerance<float>(192).value);

  // Groups 1 and 2.
  Matrix<float> sums = Matrix<float>::Ones(1, 128), dx(1, 128);
  add_group_sums(rows, dy.data(), 1, 3, sums.data());
  for (Index k = 0; k < 128; k += 64)
    each_group_column<BackwardRows>(
        [&](Index column, Index place) { dx(0, k + column) = sums(0, k + place); });
  const Matrix<double> dx_expected = (dy.cast<double>() * wd).rightCols(128).array() + 1;
  CHECK(largest_difference(dx, dx_expected) <= Tolerance<float>(13).value);
}
