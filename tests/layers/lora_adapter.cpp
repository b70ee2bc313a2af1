#include <lora/layers/lora_adapter.hpp>

#include "support/random_matrix.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("an adapter is made from a seed, or of factors that are there") {
  const LoRAAdapter<float> made(4, 3, {.rank = 2}, 7);
  CHECK(made.a().value.norm() > 0);
  CHECK(made.b().value.isZero(0));
  CHECK(made.seed() == 7);
  CHECK(made.size() == 14);
  const Matrix<float> a = random_matrix<float>(2, 3, 1), b = random_matrix<float>(4, 2, 2);
  LoRAAdapter<float> taken({.rank = 2, .alpha = 8}, a, b);
  CHECK(same_bits(taken.a().value, a));
  CHECK(same_bits(taken.b().value, b));
  CHECK(taken.in_features() == 3);
  CHECK(taken.out_features() == 4);
  CHECK(taken.config().scaling() == 4);
  CHECK(taken.parameters().size() == 2);
}

TEST_CASE("factors of another rank than the settings say are refused") {
  const Matrix<float> a = random_matrix<float>(2, 3, 1), b = random_matrix<float>(4, 2, 2);
  const auto make = [&](Index rank, const Matrix<float>& first, const Matrix<float>& second) {
    return LoRAAdapter<float>({.rank = rank}, first, second);
  };
  check_throws<ShapeError>([&] { static_cast<void>(make(3, a, b)); },
                           "LoRAAdapter: a is (2, 3), expected (rank = 3, in_features = 3)");
  check_throws<ShapeError>([&] { static_cast<void>(make(2, a, a)); },
                           "LoRAAdapter: b is (2, 3), expected (out_features = 2, rank = 2)");
  check_throws<ConfigError>([&] { static_cast<void>(make(0, a, b)); }, "LoRAAdapter: rank is 0");
  CHECK_THROWS_AS(LoRAAdapter<float>(4, 3, {.rank = -1}, 1), ConfigError);
}

TEST_CASE("an adapter's parameters and dropout masks follow its module's name") {
  LoRAAdapter<float> one(4, 30, {.rank = 2, .dropout = 0.5}, 7), two = one;
  one.set_name("encoder.query");
  two.set_name("encoder.key");
  CHECK(one.a().name == "encoder.query.lora_A.weight");
  CHECK(one.b().name == "encoder.query.lora_B.weight");
  const auto mask_of = [](const LoRAAdapter<float>& adapter, std::uint64_t step) {
    Matrix<float> mask(1, 30);
    adapter.dropout_mask(step)->fill(0, 0, 30, mask.data());
    return mask;
  };
  CHECK(same_bits(mask_of(one, 0), mask_of(one, 0)));
  CHECK_FALSE(same_bits(mask_of(one, 0), mask_of(one, 1)));
  CHECK_FALSE(same_bits(mask_of(one, 0), mask_of(two, 0)));
  two.set_name("encoder.query");
  CHECK(same_bits(mask_of(one, 0), mask_of(two, 0)));
  CHECK_FALSE(LoRAAdapter<float>(4, 30, {.rank = 2}, 7).dropout_mask(0).has_value());
}
