#include <lora/kernels/low_rank_gradients.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/threads.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEMPLATE_TEST_CASE("gradients of the factors of several paths are the plain products", "", float,
                   double) {
  using T = TestType;
  for (const Index n : {1, 20, 385})
    for (const Index in : {1, 47, 200}) {
      CAPTURE(n, in);
      const Matrix<T> x = random_matrix<T>(n, in, 1);
      struct Path {
        Matrix<T> g, dy, xa, da0, db0;
        T s;
      };
      // Of the last path dA is wanted elsewhere (its x is masked), and out is wider than a panel.
      const auto path = [&](Index out, Index rank, std::uint64_t seed, double s) {
        return Path{random_matrix<T>(n, rank, seed),       random_matrix<T>(n, out, seed + 1),
                    random_matrix<T>(n, rank, seed + 2),   random_matrix<T>(rank, in, seed + 3),
                    random_matrix<T>(out, rank, seed + 4), static_cast<T>(s)};
      };
      const Path paths[] = {path(30, 4, 10, 2), path(1, 9, 20, -0.5), path(131, 2, 30, 1)};
      Matrix<T> da[3], db[3], da_one[3], db_one[3];
      const auto run = [&] {
        const auto gradients = [&](std::size_t p) {
          MatrixRef<T> own = da[p];
          return low_rank_path::Gradients<T>{
              paths[p].g, paths[p].dy, paths[p].xa, paths[p].s, own.leftCols(p == 2 ? 0 : in),
              db[p]};
        };
        const std::array<low_rank_path::Gradients<T>, 3> all = {gradients(0), gradients(1),
                                                                gradients(2)};
        low_rank_path::add_gradients<T>(x, std::span(all));
      };
      for (const int count : {1, 2, 3}) {
        const Threads threads(count);
        for (std::size_t p = 0; p < 3; ++p) {
          da[p] = paths[p].da0;
          db[p] = paths[p].db0;
        }
        run();
        for (std::size_t p = 0; p < 3; ++p) {
          if (count == 1) {
            da_one[p] = da[p];
            db_one[p] = db[p];
          }
          CHECK(same_bits(da[p], da_one[p]));
          CHECK(same_bits(db[p], db_one[p]));
        }
      }
      for (std::size_t p = 0; p < 3; ++p) {
        CAPTURE(p);
        const double s = static_cast<double>(paths[p].s);
        Matrix<double> expected = paths[p].da0.template cast<double>();
        if (p != 2)
          expected +=
              s * paths[p].g.template cast<double>().transpose() * x.template cast<double>();
        CHECK(largest_difference(da[p], expected) <= Tolerance<T>(n, 2).value);
        expected = paths[p].db0.template cast<double>() +
                   s * paths[p].dy.template cast<double>().transpose() *
                       paths[p].xa.template cast<double>();
        CHECK(largest_difference(db[p], expected) <= Tolerance<T>(n, 2).value);
      }
      const Threads counted(countable_threads(2));
      run();
      CHECK(allocations_of(run).count == 0);
    }
}

TEST_CASE("without rows there are no gradients") {
  const Matrix<float> x(0, 3), g(0, 2), dy(0, 4), xa(0, 2);
  Matrix<float> da = Matrix<float>::Ones(2, 3), db = Matrix<float>::Ones(4, 2);
  const low_rank_path::Gradients<float> path{g, dy, xa, 1.0F, da, db};
  low_rank_path::add_gradients<float>(x, std::span(&path, 1));
  CHECK((da.array() == 1).all());
  CHECK((db.array() == 1).all());
}
