#include <lora/peft/weight_layout.hpp>

#include <lora/io/atomic_file.hpp>

#include "support/temporary_directory.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::peft;
using namespace lora::test;

TEST_CASE("GPT-2's weights lie the other way around") {
  const TemporaryDirectory directory;
  const auto with = [&](const std::string& text) {
    io::write_file(directory / "config.json", text);
    return has_transposed_weights(directory.path());
  };
  CHECK_FALSE(has_transposed_weights(directory.path()));
  CHECK(with(R"({"model_type": "gpt2"})"));
  CHECK_FALSE(with(R"({"model_type": "llama"})"));
  CHECK_FALSE(with(R"({"model_type": 3})"));
  CHECK_FALSE(with("{}"));
  CHECK_FALSE(with("[]"));
  check_throws<FileError>([&] { with("{"); }, "config.json");
}
