// What transformers and PEFT compute for a small BERT with a head: logits, losses, gradients; and
// what every model does.
#include <lora/models/bert/bert_classifier.hpp>

#include <string>
#include <vector>

#include <lora/frozen/dense_weight.hpp>

#include "contracts/model.hpp"
#include "models/bert/check_results.hpp"
#include "models/bert/golden_bert.hpp"
#include "support/catch.hpp"
#include "support/temporary_directory.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using lora::test::bert_data;
using lora::test::GoldenBatch;

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

const std::vector<std::string> sequence_cases{"plain",
                                              "no_task",
                                              "rslora",
                                              "patterns",
                                              "lora_only",
                                              "all_biases",
                                              "modules_to_save",
                                              "one_layer",
                                              "excluded",
                                              "expression",
                                              "embeddings_saved",
                                              "default_targets",
                                              "all_biases_saved",
                                              "embedded",
                                              "token_rows"};

}  // namespace

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

TEST_CASE("the last layers' gradients are those of full fine-tuning") {
  const GoldenBatch batch;
  const io::SafetensorsReader golden(bert_data("full.safetensors"));
  const auto check = [&](models::Tuning tuning, std::size_t count) {
    Sentences<PackedWeight<float>> model(bert_data("tiny"),
                                         test::without_dropout(std::move(tuning)));
    models::BertTape<float> tape;
    Matrix<float> logits, d;
    static_cast<void>(test::step(model, batch, tape, logits, d));
    CHECK(model.parameters().size() == count);
    for (const Parameter<float>* parameter : model.parameters()) {
      CAPTURE(parameter->name);
      const Matrix<float> reference = golden.read<float>("grad." + parameter->name);
      CHECK(test::largest_difference(parameter->grad, reference) <
            1e-3 * std::max(1e-3F, reference.cwiseAbs().maxCoeff()));
    }
  };
  check(models::HeadOnly{}, 2);
  check(models::LastLayers{0}, 4);
  check(models::LastLayers{1}, 4 + 16);
  check(models::LastLayers{2}, 4 + 32);
}

TEST_CASE("a BERT with a head keeps the contract of models", "[threads]") {
  const auto check = [](auto model, const char* task) {
    using Model = typename decltype(model)::type;
    const auto load = [](const peft::PeftConfig& lora) {
      return Model(bert_data("tiny"), test::contract_options(lora));
    };
    test::model_contract<models::BertTape<float>>(load, test::contract_lora(task),
                                                  test::two_batches())
        .check();
  };
  check(std::type_identity<Sentences<PackedWeight<float>>>{}, "SEQ_CLS");
  check(std::type_identity<Sentences<DenseWeight<float>>>{}, "SEQ_CLS");
  check(std::type_identity<Tokens<DenseWeight<float>>>{}, "TOKEN_CLS");
}
