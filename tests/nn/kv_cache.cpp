#include <lora/nn/kv_cache.hpp>

#include <limits>
#include <vector>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("a cache holds what is appended once it is committed") {
  KVCache<float> cache(2, 3, 4, 5);
  CHECK(cache.bytes() == 2 * 2 * 3 * 4 * 5 * sizeof(float));
  const std::vector<int> first{2, 0, 1}, second{1, 4, 0};
  const Matrix<float> k = random_matrix<float>(3, 5, 1), v = random_matrix<float>(3, 5, 2);
  cache.append(1, first, k, v);
  CHECK(cache.length(0) == 0);
  cache.commit(first);
  CHECK(cache.length(0) == 2);
  CHECK(cache.length(1) == 0);
  const Matrix<float> more = random_matrix<float>(5, 5, 3);
  cache.append(1, second, more, more);
  cache.commit(second);
  const ConstMatrixRef<float> keys = cache.keys(1), values = cache.values(1);
  CHECK(same_bits(keys.topRows(2), k.topRows(2)));
  CHECK(same_bits(values.topRows(2), v.topRows(2)));
  CHECK(same_bits(keys.row(2), more.row(0)));
  CHECK(same_bits(keys.middleRows(4, 4), more.bottomRows(4)));
  CHECK(same_bits(values.row(8), v.row(2)));
  CHECK(cache.keys(0).isZero(0));
}

TEST_CASE("a cache goes back to an earlier point, and appending allocates nothing") {
  KVCache<float> cache(1, 2, 3, 2);
  const std::vector<int> one{1, 1};
  const Matrix<float> x = random_matrix<float>(2, 2, 1);
  const auto step = [&] {
    cache.append(0, one, x, x);
    cache.commit(one);
  };
  CHECK(allocations_of(step).count == 0);
  step();
  cache.truncate(1, 1);
  CHECK(cache.length(0) == 2);
  CHECK(cache.length(1) == 1);
  cache.clear();
  CHECK(cache.length(0) == 0);
}

TEST_CASE("a cache refuses what does not fit, and stays as it was") {
  check_throws<ShapeError>([] { KVCache<float>(1, 0, 4, 5); }, "sequences = 0");
  const Index huge = std::numeric_limits<Index>::max() / 2;
  check_throws<ShapeError>([&] { KVCache<float>(huge, huge, 4, 5); }, "more than memory can hold");
  KVCache<float> cache(2, 2, 4, 5);
  const Matrix<float> x = random_matrix<float>(3, 5, 1), narrow = random_matrix<float>(3, 4, 1);
  const auto refused = [&](std::vector<int> counts, const Matrix<float>& k, const char* part) {
    check_throws<ShapeError>([&] { cache.append(0, counts, k, x); }, part);
  };
  refused({3}, x, "1 counts, expected one for each of 2 sequences");
  refused({-1, 4}, x, "sequence 0 holds 0 tokens and gets -1");
  refused({5, 0}, x, "sequence 0 holds 0 tokens and gets 5, expected 0 to 4");
  refused({1, 1}, x, "expected (rows that counts says = 2");
  refused({2, 1}, narrow, "kv_features = 5");
  check_throws<ShapeError>([&] { cache.append(2, std::vector<int>{2, 1}, x, x); }, "layer is 2");
  check_throws<ShapeError>([&] { cache.truncate(0, 1); }, "no more than it holds");
  CHECK(cache.keys(0).isZero(0));
}
