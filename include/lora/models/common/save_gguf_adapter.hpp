#pragma once

#include <filesystem>
#include <string>

#include "lora/core/printable.hpp"
#include "lora/io/gguf/gguf_writer.hpp"
#include "lora/layers/lora_config.hpp"
#include "lora/models/common/gguf_adapter_format.hpp"
#include "lora/peft/peft_config.hpp"

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

[[noreturn]] inline void refuse_in_gguf(const std::string& what) {
  throw ConfigError("save_gguf_adapter: " + what + ", which llama.cpp's adapters cannot hold");
}

// Throws ConfigError for what such a file cannot hold of a whole adapter's settings.
inline void require_gguf_settings(const peft::PeftConfig& config) {
  if (!config.alora_invocation_tokens.empty())
    refuse_in_gguf("alora_invocation_tokens begin the adapter within a text");
  if (!config.layer_replication.empty()) refuse_in_gguf("layer_replication repeats layers");
}

// Returns the place of a module in such a file, or throws ConfigError where it has none, or none
// for what these settings have trained.
inline const GgufPlace& gguf_place(const GgufAdapterFormat& format, const std::string& name,
                                   const LoRAConfig& config) {
  if (config.use_dora) refuse_in_gguf(in_quotes(name) + " is adapted with DoRA");
  if (config.lora_bias) refuse_in_gguf(in_quotes(name) + " is adapted with lora_bias");
  if (changes_base(config.init))
    refuse_in_gguf(message(in_quotes(name), " began with ", name_of(config.init),
                           ", so it belongs to a changed weight"));
  const auto found = format.places.find(name);
  if (found == format.places.end())
    refuse_in_gguf(name == "lm_head"
                       ? "the head is tied to the embeddings and adapted"
                       : in_quotes(name) + ", which is no linear layer of the model, is adapted");
  return found->second;
}

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
  for (const auto* parameter : model.stored_parameters())
    detail::refuse_in_gguf(in_quotes(parameter->name) + " trains as a whole");
  detail::require_gguf_settings(model.peft_config());
  const auto layers = model.adapted_layers();
  if (layers.empty()) throw StateError("save_gguf_adapter: the model has no LoRA adapters");
  const GgufAdapterFormat format = gguf_adapter_format(model.config());
  const LoRAConfig& first = layers.front().config();
  detail::GgufAdapterFile file(format, first.alpha.value_or(2 * static_cast<double>(first.rank)),
                               type);
  for (const auto& layer : layers) {
    const GgufPlace& place = detail::gguf_place(format, layer.name(), layer.config());
    if (layer.config().train_bias || layer.trains_bias())
      detail::refuse_in_gguf("the bias of " + in_quotes(layer.name()) + " trains");
    const auto tensors = layer.tensors(layer.config());
    file.add(place, layer.config(), tensors[0].parameter->value.template cast<float>(),
             tensors[1].parameter->value.template cast<double>());
  }
  file.write(path);
}

}  // namespace lora::models
