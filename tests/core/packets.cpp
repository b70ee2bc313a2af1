#include <lora/core/packets.hpp>

#include <cmath>
#include <limits>
#include <vector>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

namespace {

constexpr Index sizes[] = {0, 1, 2, 3, 5, 7, 8, 13, 16, 17, 31, 64, 67, 131};

}  // namespace

TEMPLATE_TEST_CASE("loops over packets do each element once, whatever the size", "", float, double,
                   long double) {
  using T = TestType;
  namespace ei = Eigen::internal;
  for (const Index n : sizes) {
    CAPTURE(n);
    const Matrix<T> a = random_matrix<T>(1, n + 1, 1), b = random_matrix<T>(1, n + 1, 2);
    // One more element, which must stay as it is.
    Matrix<T> out = Matrix<T>::Constant(1, n + 1, T(7));
    const auto product = [](const Packet<T>& x, const Packet<T>& y) { return ei::pmul(x, y); };
    packets::transform(n, out.data(), product, a.data(), b.data());
    CHECK(same_bits(out.leftCols(n), a.cwiseProduct(b).leftCols(n)));
    CHECK(out(0, n) == T(7));
    const double tolerance = Tolerance<T>(n).value;
    const auto expected = a.cwiseProduct(b).leftCols(n).sum();
    CHECK(std::abs(double(packets::sum<T>(n, product, a.data(), b.data()) - expected)) <=
          tolerance);
    Matrix<T> in_place = a;
    const T sum =
        packets::transform_and_sum(n, in_place.data(), product, in_place.data(), b.data());
    CHECK(std::abs(double(sum - expected)) <= tolerance);
    CHECK(same_bits(in_place.leftCols(n), out.leftCols(n)));
    CHECK(in_place(0, n) == a(0, n));
    const T largest = packets::largest(n, a.data());
    if (n == 0)
      CHECK(largest == std::numeric_limits<T>::lowest());
    else
      CHECK(largest == a.leftCols(n).maxCoeff());
  }
}

TEMPLATE_TEST_CASE("a sum counts only what is there, also where f of zero is not zero", "", float,
                   double) {
  using T = TestType;
  for (const Index n : sizes) {
    std::vector<T> in(static_cast<std::size_t>(n), T(1)), out(in.size());
    const auto one = [](const Packet<T>&) { return Eigen::internal::pset1<Packet<T>>(T(1)); };
    CHECK(packets::sum<T>(n, one, in.data()) == static_cast<T>(n));
    CHECK(packets::transform_and_sum(n, out.data(), one, in.data()) == static_cast<T>(n));
  }
}

TEMPLATE_TEST_CASE("sums do not depend on the alignment of their memory", "", float, double) {
  using T = TestType;
  const Matrix<T> values = random_matrix<T>(1, 101, 1);
  std::vector<T> memory(140);
  const auto same = [](const Packet<T>& x) { return x; };
  const T expected = packets::sum<T>(101, same, values.data());
  for (std::size_t shift = 0; shift < 32; ++shift) {
    std::copy_n(values.data(), 101, memory.begin() + static_cast<std::ptrdiff_t>(shift));
    CHECK(packets::sum<T>(101, same, memory.data() + shift) == expected);
  }
}

TEMPLATE_TEST_CASE("exp is accurate, flushes what is too small and keeps NaN", "", float, double,
                   long double) {
  using T = TestType;
  const auto exp_of = [](std::vector<T> x) {
    packets::transform(
        static_cast<Index>(x.size()), x.data(),
        [](const Packet<T>& v) { return packets::exp<T>(v); }, x.data());
    return x;
  };
  std::vector<T> x;
  for (int i = -8700; i <= 8700; ++i) x.push_back(static_cast<T>(i) / 100);
  const std::vector<T> e = exp_of(x);
  double worst = 0;
  for (std::size_t i = 0; i < x.size(); ++i)
    worst = std::max(worst, static_cast<double>(std::abs(e[i] / std::exp(x[i]) - 1)));
  CHECK(worst < 4 * static_cast<double>(std::numeric_limits<T>::epsilon()));

  const T inf = std::numeric_limits<T>::infinity();
  const std::vector<T> small = exp_of(
      {-inf, T(-1e6), T(0), std::numeric_limits<T>::lowest(), std::numeric_limits<T>::quiet_NaN()});
  CHECK(small[0] == 0);
  CHECK(small[1] == 0);
  CHECK(small[2] == 1);
  CHECK(small[3] == 0);
  CHECK(std::isnan(small[4]));
}
