#include "benchmarks/rank_rows.hpp"

#include <algorithm>
#include <set>
#include <string>

#include "benchmarks/plot/row_name.hpp"
#include "support/catch.hpp"

using namespace lora;
using namespace lora::bench;

namespace {
bool contains(const std::vector<Row>& rows, const Row& row) {
  return std::find(rows.begin(), rows.end(), row) != rows.end();
}
}  // namespace

TEST_CASE("the full set has every size once, and the default set is part of it") {
  const std::vector<Row> full = full_rows(), some = default_rows();
  std::set<std::string> names;
  for (const Row& row : full) names.insert(name_of(row));
  CHECK(names.size() == full.size());
  CHECK(full.size() == 4 * 5 * (1 + 4 * 9));
  CHECK(some.size() < full.size() / 5);
  for (const Row& row : some) CHECK(contains(full, row));
}

TEST_CASE("the default set goes through every rank, width and batch") {
  const std::vector<Row> rows = default_rows();
  for (const Case what : {Case::forward, Case::train}) {
    for (const Index rank : all_ranks) CHECK(contains(rows, {what, 512, 768, rank}));
    for (const Index width : all_widths)
      for (const Index tokens : all_tokens) CHECK(contains(rows, {what, tokens, width, 8}));
  }
  for (const Index width : all_widths) {
    CHECK(contains(rows, {Case::frozen, 512, width}));
    CHECK(contains(rows, {Case::merged, 512, width, 8}));
  }
  CHECK(contains(rows, {Case::train_dropout, 512, 768, 8}));
}

TEST_CASE("the plot reads a row's name back, whatever Google Benchmark appends") {
  for (const Row& row : full_rows())
    for (const char* appended : {"", "/manual_time", "/iterations:3/repeats:2/manual_time"}) {
      const auto name = parse_row_name(name_of(row) + appended);
      REQUIRE(name.has_value());
      CHECK(name->what == name_of(row.what));
      CHECK(name->tokens == row.tokens);
      CHECK(name->width == row.width);
      CHECK(name->rank.has_value() == row.rank.has_value());
      CHECK(name->rank.value_or(0) == row.rank.value_or(0));
    }
}

TEST_CASE("names that are none of ours are refused") {
  for (const char* name :
       {"", "/", "forward", "forward/tokens:1", "forward/width:1", "/tokens:1/width:1",
        "a/tokens:0/width:1", "a/tokens:-1/width:1", "a/tokens:1/width:x", "a/tokens:1/width:1x",
        "a/tokens:/width:1", "a/tokens:1/width:1/rank:0", "a/tokens:1/width:99999999999999999999"})
    CHECK_FALSE(parse_row_name(name).has_value());
}

TEST_CASE("operations are those of the products, two for each multiply-add") {
  const double n = 5, width = 7, r = 3;
  const auto product = [](double rows, double cols, double depth) {
    return 2 * rows * cols * depth;
  };
  const double frozen = product(n, width, width);
  const double forward = frozen + product(n, r, width) + product(n, width, r);
  const double backward = frozen                   // dy W
                          + product(n, r, width)   // g = dy B
                          + product(width, r, n)   // dB = dy^T (x A^T)
                          + product(r, width, n)   // dA = g^T x
                          + product(n, width, r);  // dx += g A
  CHECK(useful_flops({Case::frozen, 5, 7}) == frozen);
  CHECK(useful_flops({Case::merged, 5, 7, 3}) == frozen);
  CHECK(useful_flops({Case::forward, 5, 7, 3}) == forward);
  CHECK(useful_flops({Case::train, 5, 7, 3}) == forward + backward);
  CHECK(useful_flops({Case::train_dropout, 5, 7, 3}) == forward + backward);
}
