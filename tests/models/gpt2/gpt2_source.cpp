#include <lora/models/gpt2/gpt2_source.hpp>

#include <filesystem>
#include <string>

#include <lora/models/gpt2/gpt2_model.hpp>

#include "models/gpt2/golden_gpt2.hpp"
#include "support/catch.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"
#include "support/whole_file.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("GPT-2's head is tied unless the files have one, and names may lack their prefix") {
  for (const std::string name : {"gpt2", "bare"})
    CHECK(models::GPT2Source<float>(gpt2_data(name), {}).ends().tied);
  CHECK(!models::GPT2Source<float>(gpt2_data("untied"), {}).ends().tied);
  const models::GPT2Source<float> bare(gpt2_data("bare"), {});
  CHECK(bare.weights->contains("transformer.h.1.mlp.c_fc.weight"));
  CHECK(bare.weights->contains("transformer.h.1.attn.bias"));  // a mask, which nothing reads
}

TEST_CASE("a GGUF says how it holds Conv1D's weights, and whether the head is tied") {
  const auto golden = std::filesystem::path(LORA_GOLDEN_DIR) / "gpt2_gguf";
  const models::GPT2Source<float> plain(golden / "plain.gguf", {.residual_dropout = 0.25});
  CHECK(plain.ends().tied);
  CHECK(plain.config.resid_pdrop == 0.25);
  CHECK(plain.weights->conv1d_layout() == Layout::row_major);
  CHECK(plain.weights->has_shape("transformer.h.1.attn.c_attn.weight", {48, 16}));
  CHECK(!models::GPT2Source<float>(golden / "mixed.gguf", {}).ends().tied);
  CHECK(models::GPT2Source<float>(gpt2_data("gpt2"), {}).weights->conv1d_layout() ==
        Layout::column_major);
}

TEST_CASE("a GPT-2 whose files contradict its config is refused by name") {
  const TemporaryDirectory directory;
  std::filesystem::copy(gpt2_data("bare"), directory.path());
  const auto config = directory.path() / "config.json";
  std::string text = read_whole(config);
  const std::string inner = "\"n_inner\": 24";
  text.replace(text.find(inner), inner.size(), "\"n_inner\": 25");
  write_whole(config, text);
  check_throws<FileError>([&] { const models::GPT2Model<float> model(directory.path()); },
                          "\"h.0.mlp.c_fc.weight\" is of shape (16, 24), expected (16, 25)");
}
