#pragma once

#include <filesystem>
#include <string>

#include "lora/core/printable.hpp"
#include "lora/io/gguf/gguf_writer.hpp"
#include "lora/layers/lora_config.hpp"
#include "lora/models/common/gguf_adapter_format.hpp"

namespace lora::models {

namespace detail {

// What is written of every adapter, wherever its factors come from.
class GgufAdapterFile {
 public:
  GgufAdapterFile(const GgufAdapterFormat& format, double alpha, io::GgufType type)
      : alpha_(alpha > 0 ? alpha : 1), type_(type) {
    writer_.set("general.type", "adapter");
    writer_.set("general.architecture", format.architecture);
    writer_.set("adapter.type", "lora");
    writer_.set("adapter.lora.alpha", static_cast<float>(alpha_));
  }

  // Adds A (rank, in) and B (out, rank), with what is not alpha / rank of their scale in B.
  void add(const GgufPlace& place, const LoRAConfig& config, const Matrix<float>& a,
           const Matrix<double>& b) {
    const double factor = config.scaling() * static_cast<double>(config.rank) / alpha_;
    Matrix<float> scaled = (factor * b).template cast<float>();
    if (place.head_rows > 0) scaled = interleaved(scaled, place.head_rows, false);
    writer_.add<float>(place.name + ".lora_a", type_, a);
    writer_.add<float>(place.name + ".lora_b", type_, scaled);
  }

  void write(const std::filesystem::path& path) { writer_.write(path); }

 private:
  double alpha_;
  io::GgufType type_;
  io::GgufWriter writer_;
};

}  // namespace detail

/// Saves a model's active LoRA adapters as a GGUF file for llama.cpp, factors as `type`. llama.cpp
/// knows one alpha and the scale alpha / rank: what the layers scale by otherwise (rsLoRA, patterns
/// of alpha) is multiplied into B. `Model` is a family's, whose gguf_adapter_format(config) names
/// the tensors. Throws ConfigError, naming it, for what such a file cannot hold: biases and modules
/// that train as a whole, lora_bias, DoRA, embeddings, a head that is tied to them, a changed base
/// (PiSSA ...), alora_invocation_tokens and layer_replication; StateError for a model without
/// adapters; FileError.
template <class Model>
void save_gguf_adapter(const std::filesystem::path& path, Model& model,
                       io::GgufType type = io::GgufType::F32) {
  const auto refuse = [](const std::string& what) {
    throw ConfigError("save_gguf_adapter: " + what + ", which llama.cpp's adapters cannot hold");
  };
  for (const auto* parameter : model.stored_parameters())
    refuse(in_quotes(parameter->name) + " trains as a whole");
  if (!model.peft_config().alora_invocation_tokens.empty())
    throw ConfigError("save_gguf_adapter: adapters with alora_invocation_tokens are not written");
  if (!model.peft_config().layer_replication.empty()) refuse("layer_replication repeats layers");
  const auto layers = model.adapted_layers();
  if (layers.empty()) throw StateError("save_gguf_adapter: the model has no LoRA adapters");
  const GgufAdapterFormat format = gguf_adapter_format(model.config());
  const LoRAConfig& first = layers.front().config();
  detail::GgufAdapterFile file(format, first.alpha.value_or(2 * static_cast<double>(first.rank)),
                               type);
  for (const auto& layer : layers) {
    const auto found = format.places.find(layer.name());
    if (found == format.places.end())
      refuse(layer.name() == "lm_head" ? "the head is tied to the embeddings and adapted"
                                       : in_quotes(layer.name()) + " is adapted");
    if (layer.config().train_bias || layer.trains_bias())
      refuse("the bias of " + in_quotes(layer.name()) + " trains");
    if (layer.config().use_dora) refuse(in_quotes(layer.name()) + " is adapted with DoRA");
    if (layer.config().lora_bias) refuse(in_quotes(layer.name()) + " is adapted with lora_bias");
    if (const LoRAInit init = layer.config().init; changes_base(init))
      refuse(message(in_quotes(layer.name()), " began with ", name_of(init),
                     ", so it belongs to a changed weight"));
    const auto tensors = layer.tensors(layer.config());
    file.add(found->second, layer.config(), tensors[0].parameter->value.template cast<float>(),
             tensors[1].parameter->value.template cast<double>());
  }
  file.write(path);
}

}  // namespace lora::models
