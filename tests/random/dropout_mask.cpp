#include <lora/random/dropout_mask.hpp>

#include <cmath>

#include "support/catch.hpp"
#include "support/tolerance.hpp"

using namespace lora;

namespace {
template <class T>
Matrix<T> whole_mask(const DropoutMask& mask, Index rows, Index cols) {
  Matrix<T> m(rows, cols);
  for (Index i = 0; i < rows; ++i) mask.fill(i, 0, cols, m.row(i).data());
  return m;
}
}  // namespace

TEST_CASE("a mask is the same however it is asked for") {
  const Random random(1, RandomStream::dropout);
  const Index rows = 9, cols = 203;
  const DropoutMask mask(random, 4, 0.3, cols);
  const auto whole = whole_mask<float>(mask, rows, cols);
  Matrix<float> parts(rows, cols);
  for (Index i = rows - 1; i >= 0; --i)
    for (Index first = 0; first < cols; first += 2 * DropoutMask::group) {
      const Index count = std::min(2 * DropoutMask::group, cols - first);
      mask.fill(i, first, count, &parts(i, first));
    }
  CHECK(test::same_bits(whole, parts));
  // Float and double drop the same elements.
  const auto in_double = whole_mask<double>(mask, rows, cols);
  CHECK(((whole.array() == 0.0F) == (in_double.array() == 0.0)).all());
}

TEST_CASE("a mask's elements are 0 or 1 / (1 - p), and their mean is 1") {
  for (const double p : {0.0, 0.05, 0.5, 0.9}) {
    CAPTURE(p);
    const Index rows = 500, cols = 800;
    const auto mask =
        whole_mask<double>(DropoutMask(Random(7, RandomStream::dropout), 0, p, cols), rows, cols);
    const double kept = 1 / (1 - p);
    CHECK(((mask.array() == 0.0) || (mask.array() == kept)).all());
    // Five standard errors of a mean of independent elements of variance p / (1 - p).
    const double bound = 5 * std::sqrt(p / (1 - p) / static_cast<double>(mask.size()));
    CHECK(std::abs(mask.mean() - 1) <= bound + 1e-12);
    // No row and no column is favoured.
    const double row_bound = 6 * std::sqrt(p / (1 - p) / static_cast<double>(cols));
    CHECK((mask.rowwise().mean().array() - 1).abs().maxCoeff() <= row_bound + 1e-12);
    const double col_bound = 6 * std::sqrt(p / (1 - p) / static_cast<double>(rows));
    CHECK((mask.colwise().mean().array() - 1).abs().maxCoeff() <= col_bound + 1e-12);
  }
}

TEST_CASE("masks of different steps and seeds are different") {
  const Index rows = 4, cols = 100;
  const auto mask = [&](std::uint64_t seed, std::uint64_t step) {
    return whole_mask<float>(DropoutMask(Random(seed, RandomStream::dropout), step, 0.5, cols),
                             rows, cols);
  };
  CHECK(test::same_bits(mask(1, 1), mask(1, 1)));
  CHECK_FALSE(test::same_bits(mask(1, 1), mask(1, 2)));
  CHECK_FALSE(test::same_bits(mask(1, 1), mask(2, 1)));
}
