#include <lora/core/parameter_name.hpp>

#include "support/catch.hpp"

TEST_CASE("a parameter's name is its layer's and its own") {
  CHECK(lora::parameter_name("encoder.layer.0.query", "lora_A.weight") ==
        "encoder.layer.0.query.lora_A.weight");
  CHECK(lora::parameter_name("", "bias") == "bias");
}
