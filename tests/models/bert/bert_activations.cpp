// Every activation that a config.json may name, in a model: forward and every gradient of LoRA
// against PyTorch, and in double against finite differences.
#include <nlohmann/json.hpp>
#include <string>

#include "models/bert/check_gradients.hpp"
#include "models/bert/check_results.hpp"
#include "support/catch.hpp"
#include "support/temporary_directory.hpp"
#include "support/whole_file.hpp"

using namespace lora;
using lora::test::bert_data;

namespace {

// The tiny model with another hidden_act and the same weights.
class TinyModel {
 public:
  explicit TinyModel(const std::string& hidden_act) {
    auto config = nlohmann::json::parse(test::read_whole(bert_data("tiny/config.json")));
    config["hidden_act"] = hidden_act;
    test::write_whole(path() / "config.json", config.dump());
    std::filesystem::copy_file(bert_data("tiny/model.safetensors"), path() / "model.safetensors");
  }

  [[nodiscard]] std::filesystem::path path() const { return directory_.path(); }

 private:
  test::TemporaryDirectory directory_;
};

}  // namespace

TEST_CASE("with every activation of BERT's files, logits and gradients of LoRA are PyTorch's") {
  const auto adapter = bert_data("adapters/patterns");
  const test::GoldenBatch batch;
  for (const char* name :
       {"gelu_new", "gelu_pytorch_tanh", "gelu_fast", "gelu_python", "relu", "tanh"}) {
    CAPTURE(name);
    const TinyModel tiny(name);
    models::BertForSequenceClassification<float> model(
        tiny.path(), test::without_dropout(peft::read_peft_config(adapter)));
    model.load_adapter(adapter);
    const auto golden = bert_data("activations/" + std::string(name) + ".safetensors");
    test::check_results(model, io::SafetensorsReader(golden), batch);
  }
}

TEST_CASE("mean pooling and every activation have the gradients of finite differences") {
  models::BertOptions options = test::with_dropout(test::all_linear());
  options.pooling = models::BertPooling::mean;
  for (const char* name : {"gelu", "gelu_new", "relu", "tanh"}) {
    CAPTURE(name);
    const TinyModel tiny(name);
    test::check_gradients<models::BertTask::sequence_classification>(options, tiny.path());
  }
}
