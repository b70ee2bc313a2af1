// What transformers and PEFT compute for a small BERT: hidden states, logits, losses, gradients.
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include <lora/frozen/dense_weight.hpp>

#include "models/bert/check_results.hpp"
#include "models/bert/golden_bert.hpp"
#include "support/catch.hpp"
#include "support/temporary_directory.hpp"
#include "support/tolerance.hpp"
#include "support/whole_file.hpp"

using namespace lora;
using lora::test::bert_data;
using lora::test::GoldenBatch;
using lora::test::largest_difference;

namespace {

template <class Model>
void check_adapter(const std::string& name) {
  CAPTURE(name);
  const auto directory = bert_data("adapters/" + name);
  const GoldenBatch batch;
  Model model(bert_data("tiny"), test::without_dropout(peft::read_peft_config(directory)));
  model.load_adapter(directory);
  const io::SafetensorsReader golden(directory / "results.safetensors");
  test::check_results(model, golden, batch);

  // Written back, the tensors are the same, and so is what a fresh model makes of them.
  const test::TemporaryDirectory copy;
  model.save_adapter(copy.path());
  const io::SafetensorsReader before(directory / peft::adapter_weights_file);
  const io::SafetensorsReader after(copy / peft::adapter_weights_file);
  for (const auto& [key, view] : after.tensors()) {
    CAPTURE(key);
    REQUIRE(before.contains(key));
    CHECK(view.shape == before.tensor(key).shape);
    CHECK(std::equal(view.bytes.begin(), view.bytes.end(), before.tensor(key).bytes.begin()));
  }
  Model again(bert_data("tiny"), test::without_dropout(peft::read_peft_config(copy.path())));
  again.load_adapter(copy.path());
  Matrix<float> logits, expected;
  again.forward(batch.tokens, logits);
  model.forward(batch.tokens, expected);
  CHECK(test::same_bits(logits, expected));
}

template <class Frozen>
using Sentences = models::BertForSequenceClassification<float, Frozen>;
template <class Frozen>
using Tokens = models::BertForTokenClassification<float, Frozen>;

const std::vector<std::string> sequence_cases{
    "plain",           "no_task",   "rslora",   "patterns",   "lora_only",        "all_biases",
    "modules_to_save", "one_layer", "excluded", "expression", "embeddings_saved", "default_targets",
    "all_biases_saved"};

}  // namespace

TEST_CASE("BERT's modules have transformers' names, in its order") {
  const auto golden = nlohmann::json::parse(test::read_whole(bert_data("modules.json")));
  const models::BertConfig config = models::read_bert_config(bert_data("tiny"));
  const auto check = [&](const char* key, const models::BertParts& parts) {
    std::vector<std::string> names;
    for (const auto& module : models::bert_outline(config, parts).modules)
      names.push_back(module.name);
    CHECK(names == golden[key].get<std::vector<std::string>>());
  };
  check("sequence_classification", {.prefix = "bert.", .pooler = true, .classifier = true});
  check("token_classification", {.prefix = "bert.", .pooler = false, .classifier = true});
  check("model", {});
}

TEST_CASE("BERT's hidden states are transformers'") {
  const GoldenBatch batch;
  const io::SafetensorsReader golden(bert_data("full.safetensors"));
  const models::BertModel<float> packed(bert_data("tiny"));
  const models::BertModel<float, MappedWeight<float>> mapped(bert_data("tiny"));
  Matrix<float> hidden, pooled;
  models::BertBuffers<float> buffers;
  packed.forward(batch.tokens, hidden);
  CHECK(largest_difference(hidden, golden.read<float>("hidden.2")) < 1e-4);
  mapped.forward(batch.tokens, buffers, hidden);
  CHECK(largest_difference(hidden, golden.read<float>("hidden.2")) < 1e-4);
  mapped.pooler_output(batch.tokens, buffers, pooled);
  CHECK(largest_difference(pooled, golden.read<float>("pooler_output")) < 1e-4);
}

TEST_CASE("every gradient of full fine-tuning is PyTorch's") {
  const GoldenBatch batch;
  const io::SafetensorsReader golden(bert_data("full.safetensors"));
  models::BertForSequenceClassification<float> model(bert_data("tiny"),
                                                     test::without_dropout(models::FullTuning{}));
  test::check_results(model, golden, batch);
  CHECK(model.trainable_parameters() == model.total_parameters());
}

TEST_CASE("adapters that PEFT made give PEFT's logits, loss and gradients") {
  for (const std::string& name : sequence_cases) {
    check_adapter<Sentences<PackedWeight<float>>>(name);
    check_adapter<Sentences<MappedWeight<float>>>(name);
  }
  check_adapter<Tokens<PackedWeight<float>>>("tokens");
  check_adapter<Tokens<DenseWeight<float>>>("tokens");
  check_adapter<models::BertModel<float>>("features");
  check_adapter<models::BertModel<float, MappedWeight<float>>>("features");
}

TEST_CASE("target_modules that are left out are PEFT's default, and written as PEFT writes them") {
  const auto directory = bert_data("adapters/default_targets");
  const peft::PeftConfig config = peft::read_peft_config(directory);
  REQUIRE(std::holds_alternative<std::monostate>(config.target_modules));
  Sentences<PackedWeight<float>> model(bert_data("tiny"), {.tuning = config});
  std::vector<std::string> names;
  for (const auto& slot : model.adapted_layers()) names.push_back(slot.name());
  CHECK(names == std::vector<std::string>{"bert.encoder.layer.0.attention.self.query",
                                          "bert.encoder.layer.0.attention.self.value",
                                          "bert.encoder.layer.1.attention.self.query",
                                          "bert.encoder.layer.1.attention.self.value"});
  const peft::ModuleNames expected = std::vector<std::string>{"query", "value"};
  CHECK(model.peft_config().target_modules == expected);
  model.load_adapter(directory);
  const test::TemporaryDirectory copy;
  model.save_adapter(copy.path());
  CHECK(peft::read_peft_config(copy.path()).target_modules == expected);
}
