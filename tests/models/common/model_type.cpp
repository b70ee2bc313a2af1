#include <lora/models/common/model_type.hpp>

#include <filesystem>

#include "support/catch.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"
#include "support/whole_file.hpp"

using namespace lora;
using namespace lora::test;
using models::read_model_type;

TEST_CASE("a model says what it is in its config.json, or in its GGUF file") {
  const std::filesystem::path golden(LORA_GOLDEN_DIR);
  CHECK(read_model_type(golden / "gpt2" / "gpt2") == "gpt2");
  CHECK(read_model_type(golden / "llama" / "qwen3") == "qwen3");
  CHECK(read_model_type(golden / "gpt2_gguf" / "plain.gguf") == "gpt2");
  CHECK(read_model_type(golden / "gguf" / "biases.gguf") == "llama");
}

TEST_CASE("a model that does not say what it is is refused by name") {
  const TemporaryDirectory directory;
  const auto refused = [&](const char* part) {
    check_throws<FileError>([&] { static_cast<void>(read_model_type(directory.path())); }, part);
  };
  refused("config.json: cannot open");
  write_whole(directory.path() / "config.json", "{}");
  refused("config.json: has no \"model_type\"");
  write_whole(directory.path() / "config.json", R"({"model_type": 2})");
  refused("model_type is 2, expected a text");
}
