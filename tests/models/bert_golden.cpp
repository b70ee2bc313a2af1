// What transformers and PEFT compute for a small BERT: hidden states, logits, losses, gradients.
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include <lora/frozen/dense_weight.hpp>

#include "models/golden_bert.hpp"
#include "support/catch.hpp"
#include "support/finite_difference.hpp"
#include "support/temporary_directory.hpp"
#include "support/tolerance.hpp"
#include "support/whole_file.hpp"

using namespace lora;
using lora::test::bert_data;
using lora::test::GoldenBatch;
using lora::test::largest_difference;
using models::BertTask;

namespace {

template <class T>
double relative(const Matrix<T>& value, const Matrix<T>& reference) {
  REQUIRE(value.rows() == reference.rows());
  REQUIRE(value.cols() == reference.cols());
  return test::relative_error(value.template cast<double>(), reference.template cast<double>());
}

// Compares a step with what Python computed: every parameter that trains, and no other.
template <class Model>
void check_results(Model& model, const io::SafetensorsReader& golden, const GoldenBatch& batch) {
  models::BertTape<float> tape;
  Matrix<float> logits, dlogits, inferred;
  model.forward(batch.tokens, inferred);
  CHECK(relative<float>(inferred, golden.read<float>("logits")) < 1e-4);
  const float loss = test::step(model, batch, tape, logits, dlogits);
  CHECK(tape.empty());
  CHECK(relative<float>(logits, golden.read<float>("logits")) < 1e-4);
  CHECK(loss == Approx(golden.read<float>("loss")(0, 0)).epsilon(1e-4));
  std::size_t gradients = 0;
  for (const auto& [name, view] : golden.tensors()) gradients += name.starts_with("grad.") ? 1 : 0;
  CHECK(model.parameters().size() == gradients);
  for (const Parameter<float>* parameter : model.parameters()) {
    CAPTURE(parameter->name);
    const Matrix<float> reference = golden.read<float>("grad." + parameter->name);
    // The gradient of a key's bias is zero but for rounding: softmax does not see it.
    if (reference.cwiseAbs().maxCoeff() < 1e-6F)
      CHECK(parameter->grad.cwiseAbs().maxCoeff() < 1e-6F);
    else
      CHECK(relative<float>(parameter->grad, reference) < 1e-3);
  }
}

template <BertTask task, class Frozen>
void check_adapter(const std::string& name) {
  CAPTURE(name);
  const auto directory = bert_data("adapters/" + name);
  const GoldenBatch batch;
  models::BertClassifier<float, task, Frozen> model(
      bert_data("tiny"), test::without_dropout(io::read_peft_config(directory)));
  model.load_adapter(directory);
  const io::SafetensorsReader golden(directory / "results.safetensors");
  check_results(model, golden, batch);

  // Written back, the tensors are the same, and so is what a fresh model makes of them.
  const test::TemporaryDirectory copy;
  model.save_adapter(copy.path());
  const io::SafetensorsReader before(directory / io::adapter_weights_file);
  const io::SafetensorsReader after(copy / io::adapter_weights_file);
  for (const auto& [key, view] : after.tensors()) {
    CAPTURE(key);
    REQUIRE(before.contains(key));
    CHECK(view.shape == before.tensor(key).shape);
    CHECK(std::equal(view.bytes.begin(), view.bytes.end(), before.tensor(key).bytes.begin()));
  }
  models::BertClassifier<float, task, Frozen> again(
      bert_data("tiny"), test::without_dropout(io::read_peft_config(copy.path())));
  again.load_adapter(copy.path());
  Matrix<float> logits, expected;
  again.forward(batch.tokens, logits);
  model.forward(batch.tokens, expected);
  CHECK(test::same_bits(logits, expected));
}

const std::vector<std::string> sequence_cases{
    "plain",           "no_task",   "rslora",   "patterns",   "lora_only",       "all_biases",
    "modules_to_save", "one_layer", "excluded", "expression", "embeddings_saved"};

}  // namespace

TEST_CASE("BERT's modules have transformers' names, in its order") {
  const auto golden = nlohmann::json::parse(test::read_whole(bert_data("modules.json")));
  const models::BertConfig config = models::read_bert_config(bert_data("tiny"));
  const auto check = [&](const char* key, const models::BertParts& parts) {
    std::vector<std::string> names;
    for (const auto& module : models::bert_modules(config, parts)) names.push_back(module.name);
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
  check_results(model, golden, batch);
  CHECK(model.trainable_parameters() == model.total_parameters());
}

TEST_CASE("adapters that PEFT made give PEFT's logits, loss and gradients") {
  for (const std::string& name : sequence_cases) {
    check_adapter<BertTask::sequence_classification, PackedWeight<float>>(name);
    check_adapter<BertTask::sequence_classification, MappedWeight<float>>(name);
  }
  check_adapter<BertTask::token_classification, PackedWeight<float>>("tokens");
  check_adapter<BertTask::token_classification, DenseWeight<float>>("tokens");
}
