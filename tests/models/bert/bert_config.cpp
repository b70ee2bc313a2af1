#include <lora/models/bert/bert_config.hpp>

#include "support/catch.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"

using namespace lora;
using lora::test::check_throws;
using models::BertConfig;

TEST_CASE("a config.json of transformers is read") {
  const BertConfig config =
      models::read_bert_config(std::filesystem::path(LORA_GOLDEN_DIR) / "bert" / "tiny");
  CHECK(config.vocab_size == 50);
  CHECK(config.hidden_size == 32);
  CHECK(config.num_hidden_layers == 2);
  CHECK(config.num_attention_heads == 4);
  CHECK(config.head_features() == 8);
  CHECK(config.intermediate_size == 48);
  CHECK(config.max_position_embeddings == 12);
  CHECK(config.hidden_act == Activation::gelu);
  CHECK(config.layer_norm_eps == 1e-12);
  CHECK(config.num_labels == 3);
  CHECK(!config.classifier_dropout);
}

TEST_CASE("a directory without config.json is refused") {
  const test::TemporaryDirectory directory;
  check_throws<FileError>([&] { static_cast<void>(models::read_bert_config(directory.path())); },
                          "config.json");
}
