#include <lora/peft/adapter_files.hpp>

#include "support/catch.hpp"

TEST_CASE("tensors stand in a file under the base model's names") {
  CHECK(lora::peft::adapter_key("classifier.bias") == "base_model.model.classifier.bias");
}
