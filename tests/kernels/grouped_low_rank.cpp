#include <lora/kernels/grouped_low_rank.hpp>

#include <algorithm>
#include <vector>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

namespace {

// Two groups whose rows alternate, the second longer than a band, and a row of none.
RowGroups alternating() {
  RowGroups groups;
  groups.clear(42);
  groups.begin_group();
  for (Index row = 0; row < 20; row += 2) groups.add(row, 1);
  groups.begin_group();
  for (Index row = 1; row < 20; row += 2) groups.add(row, 1);
  groups.add(21, 20);
  groups.finish();
  return groups;
}

// Two groups of few rows.
RowGroups few() {
  RowGroups groups;
  groups.clear(42);
  groups.begin_group();
  groups.add(3, 1);
  groups.begin_group();
  for (const Index row : {0, 17, 5}) groups.add(row, 1);
  groups.finish();
  return groups;
}

template <class T>
void check_products(const RowGroups& groups, Index rank0, Index rank1) {
  for (const auto& [in, out] : {std::pair<Index, Index>{3, 1030}, {1030, 5}}) {
    CAPTURE(in, out);
    const Matrix<T> x = random_matrix<T>(42, in, 1), dy = random_matrix<T>(42, out, 2);
    const std::vector<Matrix<T>> a{random_matrix<T>(rank0, in, 3), random_matrix<T>(rank1, in, 4)},
        b{random_matrix<T>(out, rank0, 5), random_matrix<T>(out, rank1, 6)};
    std::vector<Matrix<T>> da{Matrix<T>::Ones(rank0, in), Matrix<T>::Ones(rank1, in)},
        db{Matrix<T>::Ones(out, rank0), Matrix<T>::Ones(out, rank1)};
    const std::vector<grouped_low_rank::Path<T>> own{{a[0], b[0], T(2), {}, da[0], db[0]},
                                                     {a[1], b[1], T(3), {}, da[1], db[1]}};
    const grouped_low_rank::Paths<T> paths(own);
    const Index most = std::max(rank0, rank1);
    Matrix<T> xa(groups.places(), most), g(groups.places(), most), y = dy, dx = x;
    grouped_low_rank::forward<T>(groups, paths, x, xa);
    grouped_low_rank::add_to_y<T>(groups, paths, xa, y);
    grouped_low_rank::gradient_of_xa<T>(groups, paths, dy, g);
    grouped_low_rank::add_to_dx<T>(groups, paths, g, dx);
    grouped_low_rank::add_gradients<T>(groups, paths, x, dy, xa, g);
    const double tolerance = Tolerance<T>(1030, 100).value;
    CHECK(same_bits(y.row(20), dy.row(20)));  // of no group
    CHECK(same_bits(y.row(41), dy.row(41)));
    for (const std::size_t group : {0u, 1u}) {
      std::vector<Index> rows;
      const RowGroups::Run& run = groups.groups()[group];
      for (Index i = 0; i < run.count; ++i) rows.push_back(groups.row(run.first + i));
      const auto taken = [&](const Matrix<T>& m) -> Matrix<double> {
        return m(rows, Eigen::all).template cast<double>();
      };
      const Matrix<double> own_x = taken(x), own_dy = taken(dy);
      const Matrix<double> a_d = a[group].template cast<double>(),
                           b_d = b[group].template cast<double>();
      const double s = static_cast<double>(own[group].s);
      CHECK(largest_difference(taken(y), own_dy + s * own_x * a_d.transpose() * b_d.transpose()) <=
            tolerance);
      CHECK(largest_difference(taken(dx), own_x + s * own_dy * b_d * a_d) <= tolerance);
      const Matrix<double> ones_a = Matrix<double>::Ones(a_d.rows(), in),
                           ones_b = Matrix<double>::Ones(out, b_d.cols());
      CHECK(largest_difference(da[group], ones_a + s * (own_dy * b_d).transpose() * own_x) <=
            tolerance);
      CHECK(largest_difference(
                db[group], ones_b + s * own_dy.transpose() * own_x * a_d.transpose()) <= tolerance);
    }
  }
}

}  // namespace

TEMPLATE_TEST_CASE("each group has the products of its own factors", "", float, double) {
  check_products<TestType>(alternating(), 2, 7);
  check_products<TestType>(alternating(), 8, 4);
  check_products<TestType>(few(), 2, 7);
  check_products<TestType>(few(), 8, 4);
  check_products<TestType>(few(), 12, 16);
}
