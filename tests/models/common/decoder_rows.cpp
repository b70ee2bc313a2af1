#include <lora/models/common/decoder_rows.hpp>

#include <array>
#include <vector>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("a decoder's rows are all, or some that are taken out and put back") {
  const Sequences all = Sequences::packed(std::array{3, 2});
  models::DecoderRows<float> rows{.keys = &all, .queries = &all};
  CHECK(rows.all());
  CHECK(rows.count() == 5);
  const std::vector<Index> chosen{1, 4};
  Sequences some;
  some.set_selected(all, chosen);
  rows.queries = &some;
  rows.chosen = chosen;
  CHECK(!rows.all());
  CHECK(rows.count() == 2);
  const Matrix<float> x = random_matrix<float>(5, 3, 1);
  Matrix<float> y(2, 3), sum = x;
  rows.take(x, y);
  CHECK(same_bits(y.row(0), x.row(1)));
  CHECK(same_bits(y.row(1), x.row(4)));
  rows.add(y, sum);
  CHECK(same_bits(sum.row(0), x.row(0)));
  CHECK(same_bits(sum.row(4), 2 * x.row(4)));
  Scratch scratch;
  CHECK(same_bits(rows.taken(x, scratch), y));
  rows.queries = &all;
  CHECK(rows.taken(x, scratch).data() == x.data());
  rows.add(x, sum);
  CHECK(same_bits(sum.row(0), 2 * x.row(0)));
}
