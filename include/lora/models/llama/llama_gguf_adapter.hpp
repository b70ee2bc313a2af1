#pragma once

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lora/io/gguf/gguf_reader.hpp"
#include "lora/io/gguf/gguf_writer.hpp"
#include "lora/models/llama/llama_gguf.hpp"
#include "lora/models/llama/llama_model.hpp"

namespace lora::models {

namespace detail {

/// Returns llama.cpp's name of the weight of a module: "blk.0.attn_q.weight"; nothing for a module
/// that it has no name for.
[[nodiscard]] inline std::optional<std::string> llama_gguf_name(std::string_view module) {
  if (module == "lm_head") return "output.weight";
  constexpr std::string_view layers = "model.layers.";
  if (!module.starts_with(layers)) return std::nullopt;
  const std::size_t dot = module.find('.', layers.size());
  if (dot == std::string_view::npos) return std::nullopt;
  for (const auto& [name, gguf] : llama_gguf_names)
    if (module.substr(dot + 1) == name)
      return message("blk.", module.substr(layers.size(), dot - layers.size()), ".", gguf,
                     ".weight");
  return std::nullopt;
}

/// Returns the part of a module's name behind its layer: "self_attn.q_proj".
[[nodiscard]] inline std::string_view within_layer(std::string_view module) {
  constexpr std::string_view layers = "model.layers.";
  if (!module.starts_with(layers)) return module;
  return module.substr(std::min(module.size(), module.find('.', layers.size()) + 1));
}

/// Returns llama.cpp's name of a model's architecture: Mistral is a llama there.
[[nodiscard]] inline std::string gguf_architecture(const LlamaConfig& config) {
  return config.model_type == "mistral" ? "llama" : config.model_type;
}

/// Copies B with the rows of each head in llama.cpp's order, or back.
[[nodiscard]] inline Matrix<float> interleaved(const Matrix<float>& b, Index head_rows, bool back) {
  Matrix<float> out(b.rows(), b.cols());
  for (Index i = 0; i < b.rows(); ++i) {
    const Index other = interleaved_row(i, head_rows);
    back ? out.row(i) = b.row(other) : out.row(other) = b.row(i);
  }
  return out;
}

}  // namespace detail

/// Saves a model's active LoRA adapters as a GGUF file for llama.cpp, factors as `type`. llama.cpp
/// knows one alpha and the scale alpha / rank: what the layers scale by otherwise (rsLoRA, patterns
/// of alpha) is multiplied into B. Throws ConfigError, naming it, for what such a file cannot hold:
/// biases and modules that train as a whole, and a head that is tied to the embeddings; FileError.
template <class T, class Frozen>
void save_gguf_adapter(const std::filesystem::path& path, LlamaModel<T, Frozen>& model,
                       io::GgufType type = io::GgufType::F32) {
  const auto refuse = [](const std::string& what) {
    throw ConfigError("save_gguf_adapter: " + what + ", which llama.cpp's adapters cannot hold");
  };
  for (const Parameter<T>* parameter : model.stored_parameters())
    refuse(in_quotes(parameter->name) + " trains as a whole");
  const auto layers = model.adapted_layers();
  if (layers.empty()) throw StateError("save_gguf_adapter: the model has no LoRA adapters");
  const LlamaConfig& config = model.config();
  const LoRAConfig& first = layers.front().config();
  const double given = first.alpha.value_or(2 * static_cast<double>(first.rank));
  const double alpha = given > 0 ? given : 1;
  io::GgufWriter writer;
  writer.set("general.type", "adapter");
  const std::string architecture = detail::gguf_architecture(config);
  writer.set("general.architecture", architecture);
  writer.set("adapter.type", "lora");
  writer.set("adapter.lora.alpha", static_cast<float>(alpha));
  for (const auto& layer : layers) {
    const auto name = detail::llama_gguf_name(layer.name());
    if (!name) refuse(in_quotes(layer.name()) + " is adapted");
    if (layer.name() == "lm_head" && config.tie_word_embeddings)
      refuse("the head is tied to the embeddings and adapted");
    if (layer.config().train_bias || layer.trains_bias())
      refuse("the bias of " + in_quotes(layer.name()) + " trains");
    const auto tensors = layer.tensors(layer.config());
    const Matrix<float> a = tensors[0].parameter->value.template cast<float>();
    const auto rank = static_cast<double>(layer.config().rank);
    const double factor = layer.config().scaling() * rank / alpha;
    Matrix<float> b =
        (factor * tensors[1].parameter->value.template cast<double>()).template cast<float>();
    if (interleaves_heads(architecture, detail::within_layer(layer.name())))
      b = detail::interleaved(b, config.head_dim, false);
    writer.add<float>(*name + ".lora_a", type, a);
    writer.add<float>(*name + ".lora_b", type, b);
  }
  writer.write(path);
}

/// A LoRA adapter in a GGUF file for a model of Llama's family.
class LlamaGgufAdapter {
 public:
  /// Reads the file for a model of these settings. Throws FileError for what is no such adapter: of
  /// another architecture, half of a pair, of a tensor that the model does not have, of shapes that
  /// do not fit.
  LlamaGgufAdapter(const std::filesystem::path& path, const LlamaConfig& config) {
    const io::GgufReader file(path);
    const io::GgufMetadata& metadata = file.metadata();
    const std::string architecture = detail::gguf_architecture(config);
    const auto expect = [&](const char* key, std::string_view expected) {
      if (metadata.text(key) != expected)
        metadata.fail(message(key, " is ", in_quotes(metadata.text(key)), ", expected ", expected));
    };
    expect("general.type", "adapter");
    expect("general.architecture", architecture);
    expect("adapter.type", "lora");
    if (metadata.has("adapter.lora.alpha")) alpha_ = metadata.number("adapter.lora.alpha");
    if (metadata.has("adapter.alora.invocation_tokens"))
      metadata.fail("is an aLoRA, which is not built");
    std::map<std::string, std::string> modules;
    for (const ModelOutline outline = llama_outline(config); const auto& module : outline.modules)
      if (module.kind == peft::ModuleKind::linear)
        if (const auto name = detail::llama_gguf_name(module.name)) modules[*name] = module.name;
    for (const auto& [name, tensor] : file.tensors())
      read(file, modules, architecture, config, name);
    for (const auto& [module, factors] : factors_)
      if (factors.a.size() == 0 || factors.b.size() == 0)
        metadata.fail("the adapter of " + in_quotes(module) + " has one factor alone");
      else if (factors.a.rows() != factors.b.cols())
        metadata.fail(message("the adapter of ", in_quotes(module), " has factors of ranks ",
                              factors.a.rows(), " and ", factors.b.cols()));
    if (factors_.empty()) metadata.fail("has no adapters");
  }

  /// Returns the settings that a model is built with to hold it.
  [[nodiscard]] peft::PeftConfig config() const {
    peft::PeftConfig config{.r = factors_.begin()->second.a.rows()};
    // Without an alpha, or with 0, llama.cpp does not scale.
    config.lora_alpha = alpha_ == 0 ? static_cast<double>(config.r) : alpha_;
    std::vector<std::string> targets;
    for (const auto& [module, factors] : factors_) {
      targets.push_back(module);
      const Index rank = factors.a.rows();
      if (rank == config.r) continue;
      config.rank_pattern.add(module, rank);
      if (alpha_ == 0) config.alpha_pattern.add(module, static_cast<double>(rank));
    }
    config.target_modules = std::move(targets);
    config.task_type = "CAUSAL_LM";
    return config;
  }

  /// Gives the model's adapters these values. Build it with config() as its tuning. Throws
  /// ConfigError for a model that adapts other modules, or with other ranks; then nothing has
  /// changed.
  template <class T, class Frozen>
  void load_into(LlamaModel<T, Frozen>& model) const {
    const auto layers = model.adapted_layers();
    if (layers.size() != factors_.size())
      throw ConfigError(message("LlamaGgufAdapter: the model adapts ", layers.size(),
                                " modules, expected the file's ", factors_.size()));
    for (const auto& layer : layers) {
      const auto found = factors_.find(layer.name());
      if (found == factors_.end())
        throw ConfigError("LlamaGgufAdapter: the file has no adapter of " +
                          in_quotes(layer.name()));
      if (layer.config().rank != found->second.a.rows())
        throw ConfigError(message("LlamaGgufAdapter: ", in_quotes(layer.name()), " is of rank ",
                                  layer.config().rank, ", expected the file's ",
                                  found->second.a.rows()));
    }
    const peft::PeftConfig settings = config();
    for (const auto& layer : layers) {
      const Factors& factors = factors_.at(layer.name());
      std::vector<Matrix<T>> values;
      values.push_back(factors.a.template cast<T>());
      values.push_back(factors.b.template cast<T>());
      layer.replace_adapter(settings.layer_config(layer.name()), std::move(values));
    }
  }

  /// Lists the tensors that llama.cpp passes over too: norms that the adapter changes.
  [[nodiscard]] const std::vector<std::string>& skipped() const { return skipped_; }

 private:
  struct Factors {
    Matrix<float> a;  // (rank, in)
    Matrix<float> b;  // (out, rank)
  };

  void read(const io::GgufReader& file, const std::map<std::string, std::string>& modules,
            const std::string& architecture, const LlamaConfig& config, const std::string& name) {
    const io::GgufMetadata& metadata = file.metadata();
    const bool is_a = name.ends_with(".lora_a"), is_b = name.ends_with(".lora_b");
    if (!is_a && !is_b) {
      if (!name.ends_with("_norm.weight"))
        metadata.fail("tensor " + in_quotes(name) + " is no factor of an adapter");
      skipped_.push_back(name);
      return;
    }
    const auto found = modules.find(name.substr(0, name.size() - 7));
    if (found == modules.end())
      metadata.fail("tensor " + in_quotes(name) + " adapts what the model does not have");
    const std::string& module = found->second;
    if (module == "lm_head" && config.tie_word_embeddings)
      metadata.fail("adapts a head that is tied to the embeddings");
    const io::GgufTensor& tensor = file.tensor(name);
    if (tensor.shape.size() != 2)
      metadata.fail("tensor " + in_quotes(name) + " is of shape " + io::shape_text(tensor.shape) +
                    ", expected a matrix");
    Matrix<float> values(tensor.shape[0], tensor.shape[1]);
    io::decode_gguf(tensor.type, tensor.bytes.data(), values.size(), values.data());
    if (is_a) {
      factors_[module].a = std::move(values);
      return;
    }
    if (interleaves_heads(architecture, detail::within_layer(module))) {
      if (values.rows() % config.head_dim != 0)
        metadata.fail(message("tensor ", in_quotes(name), " has ", values.rows(),
                              " rows, expected heads of ", config.head_dim));
      values = detail::interleaved(values, config.head_dim, true);
    }
    factors_[module].b = std::move(values);
  }

  double alpha_ = 0;
  std::map<std::string, Factors> factors_;
  std::vector<std::string> skipped_;
};

}  // namespace lora::models
