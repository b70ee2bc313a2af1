// Loads language models with adapters that PEFT wrote, computes logits and gradients with them, and
// writes the adapters back: the C++ side of tests/conformance/language_models_roundtrip.py, which
// says what the arguments are. What is refused is told case by case, in OUTPUT/<case>/refused.txt.
#include <string>
#include <vector>

#include <lora/frozen/half_weight.hpp>
#include <lora/layers/weight_start.hpp>

#include "round_trip.hpp"

namespace fs = std::filesystem;
using namespace lora;

namespace {

/// The texts of a case, padded on either side, and the token that each position is to predict.
struct Texts {
  explicit Texts(const fs::path& path) {
    const io::SafetensorsReader file(path);
    const auto read = [&](const char* name) -> Matrix<int> {
      return file.read<double>(name).cast<int>();
    };
    const Matrix<int> ids = read("ids");
    const text::TokenBatch padded{ids, Matrix<int>::Zero(ids.rows(), ids.cols()),
                                  read("attention_mask")};
    batch.assign(padded);
    models::pack_labels(read("labels"), padded, labels);
  }

  models::CausalBatch batch;
  std::vector<int> labels;
};

/// Begins the adapters from the weights, where that is how those of the file did.
template <class Model>
void begin(Model& model, LoRAInit init) {
  if (!changes_base(init)) return;
  for (const auto& layer : model.adapted_layers())
    init == LoRAInit::pissa ? start_pissa(layer) : start_olora(layer);
}

template <class Model, class Options>
void round_trip(const fs::path& from, const fs::path& to, Options options) {
  peft::PeftConfig config = peft::read_peft_config(from / "adapter");
  const LoRAInit init = peft::start_of(config.init_lora_weights);
  if (changes_base(init)) config.init_lora_weights = true;
  options.tuning = config;
  Model model(from / "model", options);
  begin(model, init);
  model.load_adapter(from / "adapter");
  const Texts texts(from / "texts.safetensors");
  Matrix<float> logits;
  model.logits(texts.batch, logits);
  model.save_adapter(to);

  // PyTorch's gradients are those of its evaluation mode: dropout draws other masks there.
  config.lora_dropout = 0;
  options.tuning = config;
  Model trained(from / "model", options);
  begin(trained, init);
  const ParameterList<float> loaded = model.parameters(), parameters = trained.parameters();
  for (std::size_t i = 0; i < loaded.size(); ++i) parameters[i]->value = loaded[i]->value;
  models::CausalTape<float> tape;
  const LanguageModelLoss loss = trained.loss(texts.batch, texts.labels, tape);
  trained.backward(tape);

  std::vector<io::Tensor> results{
      io::make_tensor("logits", logits),
      io::make_tensor("loss", Matrix<double>::Constant(1, 1, loss.mean()))};
  for (const Parameter<float>* parameter : parameters)
    results.push_back(io::make_tensor("grad." + parameter->name, parameter->grad));
  io::write_safetensors(to / "results.safetensors", results);
}

template <class Frozen>
void round_trip_of_family(bool gpt2, const fs::path& from, const fs::path& to) {
  if (gpt2)
    round_trip<models::GPT2Model<float, Frozen>>(
        from, to,
        models::GPT2Options{.embedding_dropout = 0, .residual_dropout = 0, .attention_dropout = 0});
  else
    round_trip<models::LlamaModel<float, Frozen>>(from, to,
                                                  models::LlamaOptions{.attention_dropout = 0});
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: " << argv[0] << " CASES OUTPUT\n";
    return 2;
  }
  return test::for_each_case(argv[1], argv[2], [](const fs::path& from, const fs::path& to) {
    const auto config = models::read_config_fields(from / "model");
    const auto is = [&](const char* key, const char* text) {
      return config.has(key) && io::is_text(config[key], text);
    };
    // Where files hold it, half the memory is what programs for language models take.
    if (is("dtype", "bfloat16"))
      round_trip_of_family<HalfWeight<float>>(is("model_type", "gpt2"), from, to);
    else
      round_trip_of_family<PackedWeight<float>>(is("model_type", "gpt2"), from, to);
  });
}
