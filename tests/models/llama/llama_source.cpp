#include <lora/models/llama/llama_source.hpp>

#include <filesystem>
#include <string>

#include <lora/models/llama/llama_model.hpp>

#include "models/llama/golden_llama.hpp"
#include "support/catch.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"
#include "support/whole_file.hpp"

using namespace lora;
using namespace lora::test;

namespace {

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  text.replace(text.find(from), from.size(), to);
  return text;
}

}  // namespace

TEST_CASE("a head is tied where the config says so and the files have none of their own") {
  const TemporaryDirectory directory;
  std::filesystem::copy(llama_data("llama"), directory.path());
  const auto config = directory.path() / "config.json";
  const std::string text = read_whole(config);
  write_whole(config,
              replaced(text, R"("tie_word_embeddings": false)", R"("tie_word_embeddings": true)"));
  // transformers 5.24 keeps both.
  CHECK(!models::LlamaSource<float>(directory.path(), {}).ends().tied);
  CHECK(models::LlamaSource<float>(llama_data("tied"), {}).ends().tied);
  std::filesystem::copy(llama_data("tied") / "model.safetensors",
                        directory.path() / "model.safetensors",
                        std::filesystem::copy_options::overwrite_existing);
  CHECK(models::LlamaSource<float>(directory.path(), {}).ends().tied);
  write_whole(config, text);
  check_throws<FileError>(
      [&] { static_cast<void>(models::LlamaSource<float>(directory.path(), {}).ends().tied); },
      "has no \"lm_head.weight\", and tie_word_embeddings is false");
}

TEST_CASE("a config that the weights contradict is refused, naming the tensor") {
  const TemporaryDirectory directory;
  std::filesystem::copy(llama_data("llama"), directory.path());
  const auto config = directory.path() / "config.json";
  write_whole(config, replaced(read_whole(config), R"("intermediate_size": 24)",
                               R"("intermediate_size": 25)"));
  check_throws<FileError>([&] { const models::LlamaModel<float> model(directory.path()); },
                          "model.layers.0.mlp.gate_proj.weight\" is of shape (24, 16), expected "
                          "(25, 16)");
}
