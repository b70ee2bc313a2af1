#include <lora/models/common/new_tokens.hpp>

#include <array>
#include <vector>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;
using models::NewTokens;

TEST_CASE("new tokens know their places in their texts, and each text's last row") {
  KVCache<float> cache(1, 3, 4, 2);
  const Matrix<float> zeros = Matrix<float>::Zero(1, 2);
  const std::array<int, 3> before{0, 0, 1};
  cache.append(0, before, zeros, zeros);
  cache.commit(before);
  const std::array<int, 3> ids{7, 8, 9}, counts{1, 0, 2};
  const NewTokens fresh{ids, counts};
  CHECK(fresh.rows() == 3);
  CHECK(fresh.texts() == 2);
  std::array<int, 3> places{};
  fresh.positions_in(cache, places.data());
  CHECK(places == std::array{0, 1, 2});
  const Matrix<float> x = random_matrix<float>(3, 2, 1);
  Matrix<float> last(2, 2);
  fresh.take_last<float>(x, last);
  CHECK(same_bits(last.row(0), x.row(0)));
  CHECK(same_bits(last.row(1), x.row(2)));

  CHECK_NOTHROW(fresh.check(cache, 10, 4, "here"));
  const auto refused = [&](const NewTokens& tokens, Index vocab_size, Index positions,
                           const char* part) {
    check_throws<ShapeError>([&] { tokens.check(cache, vocab_size, positions, "here"); }, part);
  };
  refused(fresh, 9, 4, "here: id 2 is 9, expected a token in [0, 9)");
  refused(fresh, 10, 2, "here: text 2 would have 3 tokens, expected at most 2");
  const std::array<int, 3> more{1, 0, 1}, far{1, 0, 4};
  refused({ids, more}, 10, 4, "here: 3 ids, expected the 2 that counts says");
  refused({ids, far}, 10, 4, "sequence 2 holds 1 tokens");
}
