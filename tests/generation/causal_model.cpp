#include <lora/generation/causal_model.hpp>

#include "generation/toy_model.hpp"
#include "support/catch.hpp"

using namespace lora;

TEST_CASE("a causal model is what goes on from a cache") {
  STATIC_REQUIRE(generation::CausalModel<test::ToyModel>);
  STATIC_REQUIRE(!generation::CausalModel<KVCache<float>>);
}
