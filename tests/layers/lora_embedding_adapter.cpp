#include <lora/layers/lora_embedding_adapter.hpp>

#include <cmath>

#include "support/random_matrix.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("an embedding's adapter starts with A zero and B standard normal") {
  for (const LoRAInit init : {LoRAInit::kaiming, LoRAInit::gaussian}) {
    const LoRAEmbeddingAdapter<double> made(30, 400, {.rank = 5, .init = init}, 7);
    CHECK(made.a().value.rows() == 5);
    CHECK(made.a().value.cols() == 30);
    CHECK(made.a().value.isZero(0));
    CHECK(made.b().value.rows() == 400);
    CHECK(made.size() == 5 * 430);
    CHECK(std::abs(made.b().value.mean()) < 0.1);
    CHECK(made.b().value.squaredNorm() / 2000 == Approx(1).epsilon(0.1));
    CHECK(made.seed() == 7);
  }
}

TEST_CASE("an embedding's adapter takes factors that fit, and names them as PEFT does") {
  const Matrix<float> a = random_matrix<float>(2, 3, 1), b = random_matrix<float>(4, 2, 2);
  LoRAEmbeddingAdapter<float> taken({.rank = 2}, a, b);
  taken.set_name("model.embed_tokens");
  CHECK(taken.name() == "model.embed_tokens");
  CHECK(taken.a().name == "model.embed_tokens.lora_embedding_A");
  CHECK(taken.parameters()[1]->name == "model.embed_tokens.lora_embedding_B");
  const auto make = [&](Index rank, const Matrix<float>& first, const Matrix<float>& second) {
    return LoRAEmbeddingAdapter<float>({.rank = rank}, first, second);
  };
  check_throws<ShapeError>([&] { static_cast<void>(make(3, a, b)); },
                           "a is (2, 3), expected (rank = 3, entries = 3)");
  check_throws<ShapeError>([&] { static_cast<void>(make(2, a, a)); },
                           "b is (2, 3), expected (features = 2, rank = 2)");
  CHECK_THROWS_AS(LoRAEmbeddingAdapter<float>(4, 3, {.rank = -1}, 1), ConfigError);
  const Matrix<float> m = random_matrix<float>(1, 4, 3);
  LoRAEmbeddingAdapter<float> dora({.rank = 2, .use_dora = true}, a, b, m);
  dora.set_name("wte");
  REQUIRE(dora.parameters().size() == 3);
  CHECK(dora.parameters()[2]->name == "wte.lora_magnitude_vector.weight");
  CHECK(dora.size() == 6 + 8 + 4);
  check_throws<ShapeError>([&] { dora.set_magnitude(a); }, "magnitude is (2, 3)");
  check_throws<ConfigError>([&] { taken.set_magnitude(m); },
                            "LoRAEmbeddingAdapter model.embed_tokens: there are magnitudes, but "
                            "use_dora is not set");
}
