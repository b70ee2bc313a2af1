#include <lora/peft/adapter_files.hpp>

#include "support/catch.hpp"

using lora::peft::adapter_key;
using lora::peft::tensor_name;

TEST_CASE("tensors stand in a file under the base model's names") {
  CHECK(adapter_key("classifier.bias") == "base_model.model.classifier.bias");
  CHECK(tensor_name("base_model.model.classifier.bias") == "classifier.bias");
  CHECK(tensor_name("classifier.bias").empty());
  CHECK(tensor_name("_orig_mod.base_model.model.classifier.bias").empty());
}

TEST_CASE("the adapter's name is left out where PEFT accepts it, and nowhere else") {
  const auto name = [](const std::string& rest) { return tensor_name("base_model.model." + rest); };
  CHECK(name("q.lora_A.default.weight") == "q.lora_A.weight");
  CHECK(name("q.lora_B.default.bias") == "q.lora_B.bias");
  CHECK(name("q.lora_embedding_A.default") == "q.lora_embedding_A");
  for (const char* end : {"", ".weight", ".default", ".default.weight"})
    CHECK(name(std::string("q.lora_magnitude_vector") + end) == "q.lora_magnitude_vector");
  CHECK(name("lora_x.default.q.lora_A.default.weight") == "lora_x.default.q.lora_A.weight");
  for (const char* same :
       {"q.lora_A.weight", "q.lora_A.other.weight", "q.lora_A.defaults.weight", "q.lora_A",
        "c.modules_to_save.default.weight", "default.weight", "q.lora_A.default2"})
    CHECK(name(same) == same);
}
