#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lora/core/printable.hpp"
#include "lora/io/gguf/gguf_reader.hpp"
#include "lora/layers/adapter_tensor.hpp"
#include "lora/models/common/gguf_adapter_format.hpp"
#include "lora/peft/adapter_values.hpp"
#include "lora/peft/peft_config.hpp"

namespace lora::models {

/// A LoRA adapter in a GGUF file, llama.cpp's form.
class GgufAdapter {
 public:
  /// Reads the file for a model of this format, which gguf_adapter_format makes from the model's
  /// settings. Throws FileError for what is no such adapter: of another architecture, half of a
  /// pair, of a tensor that the model does not have, of a pair whose ranks differ.
  GgufAdapter(const std::filesystem::path& path, const GgufAdapterFormat& format) {
    const io::GgufReader file(path);
    const io::GgufMetadata& metadata = file.metadata();
    const auto expect = [&](const char* key, std::string_view expected) {
      if (metadata.text(key) != expected)
        metadata.fail(message(key, " is ", in_quotes(metadata.text(key)), ", expected ", expected));
    };
    expect("general.type", "adapter");
    expect("general.architecture", format.architecture);
    expect("adapter.type", "lora");
    if (metadata.has("adapter.lora.alpha")) alpha_ = metadata.number("adapter.lora.alpha");
    if (metadata.has("adapter.alora.invocation_tokens"))
      metadata.fail("is an aLoRA, which is not built");
    std::map<std::string, Module> modules;
    for (const auto& [module, place] : format.places)
      modules[place.name] = {module, place.head_rows};
    for (const auto& [name, tensor] : file.tensors()) read(file, modules, name);
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
  /// ConfigError for a model that adapts other modules, or with other ranks, or has
  /// alora_invocation_tokens, layer_replication or trainable_token_indices, ShapeError for factors
  /// of other shapes than (rank, in) and (out, rank); then nothing has changed.
  template <class Model>
  void load_into(Model& model) const {
    using T = typename Model::Scalar;
    const peft::PeftConfig settings = config();
    if (!model.peft_config().alora_invocation_tokens.empty() ||
        !model.peft_config().layer_replication.empty() ||
        !model.peft_config().trainable_token_indices.empty())
      throw ConfigError(
          "GgufAdapter: the model was built with alora_invocation_tokens, layer_replication or "
          "trainable_token_indices, "
          "which llama.cpp's adapters do not have");
    const auto layers = model.adapted_layers();
    if (layers.size() != factors_.size())
      throw ConfigError(message("GgufAdapter: the model adapts ", layers.size(),
                                " modules, expected the file's ", factors_.size()));
    for (const auto& layer : layers) {
      const auto found = factors_.find(layer.name());
      if (found == factors_.end())
        throw ConfigError("GgufAdapter: the file has no adapter of " + in_quotes(layer.name()));
      if (layer.config().rank != found->second.a.rows())
        throw ConfigError(message("GgufAdapter: ", in_quotes(layer.name()), " is of rank ",
                                  layer.config().rank, ", expected the file's ",
                                  found->second.a.rows()));
      const LoRAConfig layer_settings = settings.layer_config(layer.name());
      layer.check_replace(layer_settings);
      const auto tensors = layer.tensors(layer_settings);
      require_fit(layer.name(), tensors.at(0), found->second.a);
      require_fit(layer.name(), tensors.at(1), found->second.b);
    }
    for (const auto& layer : layers) {
      const Factors& factors = factors_.at(layer.name());
      std::vector<Matrix<T>> values;
      values.push_back(factors.a.template cast<T>());
      values.push_back(factors.b.template cast<T>());
      layer.replace_adapter(settings.layer_config(layer.name()), std::move(values));
    }
  }

  /// Returns the adapter without a model, its rows in Hugging Face's order: what
  /// peft::save_adapter writes for PEFT.
  [[nodiscard]] peft::AdapterValues<float> values() const {
    peft::AdapterValues<float> adapter{config(), {}, {}};
    for (const auto& [module, factors] : factors_)
      adapter.modules.emplace(
          module, peft::LoRAFactors<float>{adapter.config.layer_config(module),
                                           {factors.a, {factors.a.rows(), factors.a.cols()}},
                                           {factors.b, {factors.b.rows(), factors.b.cols()}}});
    return adapter;
  }

  /// Lists the tensors that llama.cpp passes over too: norms that the adapter changes.
  [[nodiscard]] const std::vector<std::string>& skipped() const { return skipped_; }

 private:
  struct Factors {
    Matrix<float> a;  // (rank, in)
    Matrix<float> b;  // (out, rank)
  };

  template <class T>
  static void require_fit(const std::string& layer, const AdapterTensor<T>& tensor,
                          const Matrix<float>& values) {
    const MatrixShape expected(tensor.shape);
    require_shape(values, expected.rows, expected.cols, "GgufAdapter", layer + tensor.suffix);
  }

  struct Module {
    std::string name;
    Index head_rows;  // of heads whose halves are interleaved
  };

  void read(const io::GgufReader& file, const std::map<std::string, Module>& modules,
            const std::string& name) {
    const io::GgufMetadata& metadata = file.metadata();
    const bool is_a = name.ends_with(".lora_a"), is_b = name.ends_with(".lora_b");
    if (!is_a && !is_b) {
      if (!name.ends_with("_norm.weight"))
        metadata.fail("tensor " + in_quotes(name) + " is no factor of an adapter");
      skipped_.push_back(name);
      return;
    }
    const std::string adapted = name.substr(0, name.size() - 7);
    const auto found = modules.find(adapted);
    if (found == modules.end())
      metadata.fail(adapted == "output.weight"
                        ? "adapts a head that is tied to the embeddings"
                        : "tensor " + in_quotes(name) + " adapts what the model does not have");
    const auto& [module, head_rows] = found->second;
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
    if (head_rows > 0) {
      if (values.rows() % head_rows != 0)
        metadata.fail(message("tensor ", in_quotes(name), " has ", values.rows(),
                              " rows, expected heads of ", head_rows));
      values = interleaved(values, head_rows, true);
    }
    factors_[module].b = std::move(values);
  }

  double alpha_ = 0;
  std::map<std::string, Factors> factors_;
  std::vector<std::string> skipped_;
};

}  // namespace lora::models
