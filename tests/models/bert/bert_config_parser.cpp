#include <string>

#include <lora/models/bert/bert_config_parser.hpp>

#include "support/catch.hpp"
#include "support/throws.hpp"

using namespace lora;
using lora::test::check_throws;
using models::BertConfig;
using models::parse_bert_config;

TEST_CASE("keys that a config.json leaves out have bert-base's values") {
  const BertConfig config = parse_bert_config("{}", "f");
  CHECK(config.vocab_size == 30522);
  CHECK(config.hidden_size == 768);
  CHECK(config.num_hidden_layers == 12);
  CHECK(config.hidden_dropout_prob == 0.1);
  CHECK(config.num_labels == 2);
  CHECK(parse_bert_config(R"({"classifier_dropout": null})", "f").classifier_dropout ==
        std::nullopt);
  CHECK(parse_bert_config(R"({"classifier_dropout": 0.3})", "f").classifier_dropout == 0.3);
  CHECK(parse_bert_config(R"({"num_labels": 5})", "f").num_labels == 5);
  CHECK(parse_bert_config(R"({"id2label": {"0": "a", "1": "b", "2": "c"}})", "f").num_labels == 3);
  // Where the two contradict each other, transformers takes num_labels.
  CHECK(
      parse_bert_config(R"({"num_labels": 5, "id2label": {"0": "a", "1": "b"}})", "f").num_labels ==
      5);
  // Nor does it look at label2id, here alone; where there are no names at all, there are two
  // labels.
  CHECK(parse_bert_config(R"({"label2id": {"a": 0, "b": 1, "c": 2}})", "f").num_labels == 2);
  CHECK(parse_bert_config(R"({"id2label": null, "num_labels": 4, "label2id": {"a": 0}})", "f")
            .num_labels == 4);
  CHECK(parse_bert_config(R"({"id2label": {}, "num_labels": 3})", "f").num_labels == 3);
  CHECK(parse_bert_config("{}", "f").pad_token_id == 0);
  CHECK(parse_bert_config(R"({"pad_token_id": null})", "f").pad_token_id == std::nullopt);
}

TEST_CASE("the activations of BERT's files are known by their names") {
  const auto read = [](const std::string& name) {
    return parse_bert_config("{\"hidden_act\": \"" + name + "\"}", "f").hidden_act;
  };
  CHECK(read("gelu") == Activation::gelu);
  CHECK(read("gelu_python") == Activation::gelu);
  CHECK(read("gelu_fast") == Activation::gelu_tanh);
  CHECK(read("gelu_new") == Activation::gelu_tanh);
  CHECK(read("gelu_pytorch_tanh") == Activation::gelu_tanh);
  CHECK(read("relu") == Activation::relu);
  CHECK(read("tanh") == Activation::tanh);
}

TEST_CASE("a config.json that lies, or wants what is not built, is refused by name") {
  const auto refused = [](const std::string& text, const std::string& part) {
    CAPTURE(text);
    check_throws<FileError>([&] { static_cast<void>(parse_bert_config(text, "dir/config.json")); },
                            part);
  };
  refused("", "dir/config.json: not valid JSON");
  refused("[1]", "expected a JSON object");
  refused(R"({"hidden_size": NaN})", "hidden_size is nan");
  refused(R"({"layer_norm_eps": Infinity})", "layer_norm_eps is inf");
  refused(R"({"hidden_size": -768})", "hidden_size is -768");
  refused(R"({"hidden_size": 0})", "hidden_size is 0");
  refused(R"({"hidden_size": 1e3})", "hidden_size is 1000");
  refused(R"({"hidden_size": "768"})", "hidden_size is \"768\"");
  refused(R"({"hidden_size": 18446744073709551615})", "hidden_size is 18446744073709551615");
  refused(R"({"hidden_size": 99999999999999999999999})", "hidden_size is");
  refused(R"({"vocab_size": 9000000000000000000})", "vocab_size is");
  refused(R"({"num_hidden_layers": 1001})", "num_hidden_layers is 1001");
  refused(R"({"num_labels": 100001})", "num_labels is 100001");
  refused(R"({"num_attention_heads": 0})", "num_attention_heads is 0");
  refused(R"({"num_attention_heads": 7})", "expected a multiple of the 7 num_attention_heads");
  refused(R"({"hidden_dropout_prob": 1})", "hidden_dropout_prob is 1");
  refused(R"({"attention_probs_dropout_prob": -0.1})", "attention_probs_dropout_prob is -0.1");
  for (const char* bad : {"0", "1e-50", "1e300", "-1e-12"})
    refused(message("{\"layer_norm_eps\": ", bad, "}"), "expected a number in [1e-30, 1]");
  refused(R"({"initializer_range": 1e300})", "initializer_range is 1e+300");
  refused(R"({"pad_token_id": 30522})", "pad_token_id is 30522");
  refused(R"({"pad_token_id": -1})", "pad_token_id is -1");
  refused(R"({"id2label": {}})", "id2label is {}");
  refused(R"({"id2label": 3})", "id2label is 3");
  refused(R"({"model_type": "roberta"})", "model_type is \"roberta\"");
  refused(R"({"model_type": 3})", "model_type is 3");
  refused(R"({"hidden_act": "mish"})", "hidden_act is \"mish\"");
  refused(R"({"hidden_act": {"gelu": 1}})", "hidden_act is");
  refused(R"({"position_embedding_type": "relative_key"})", "relative positions are not built");
  refused(R"({"is_decoder": true})", "is_decoder is true");
  refused(R"({"add_cross_attention": true})", "decoders are not built");
  refused(R"({"is_encoder_decoder": 1})", "is_encoder_decoder is 1");
  refused(R"({"pruned_heads": {"0": [1]}})", "pruned heads are not built");
  refused(R"({"embedding_size": 128, "hidden_size": 768})", "embedding_size is 128");
  refused(R"({"quantization_config": {"bits": 4}})", "no other quantisation is read");
  std::string labels = "{\"id2label\": {";
  for (Index i = 0; i <= models::label_limit; ++i) labels += message("\"", i, "\": \"x\",");
  labels.back() = '}';
  refused(labels + "}", "expected at most 100000 labels");
  refused("{\"a\": \"" + std::string(models::config_limit, 'x') + "\"}",
          "more than a config.json has");
}
