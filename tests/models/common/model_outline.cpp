#include <lora/models/common/model_outline.hpp>

#include "support/catch.hpp"

using lora::models::is_inside;

TEST_CASE("a module is inside of itself and of what its path goes through") {
  CHECK(is_inside("model.layers.1", "model.layers.1"));
  CHECK(is_inside("model.layers.1.mlp", "model.layers.1"));
  CHECK(!is_inside("model.layers.10", "model.layers.1"));
  CHECK(!is_inside("model.layers", "model.layers.1"));
  CHECK(!is_inside("layers.1.mlp", "model.layers.1"));
}
