#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "lora/core/parameter.hpp"
#include "lora/frozen/packed_weight.hpp"
#include "lora/io/module_selection.hpp"
#include "lora/io/peft_config.hpp"
#include "lora/layers/adapter_slot.hpp"
#include "lora/models/bert_config.hpp"
#include "lora/models/bert_options.hpp"
#include "lora/models/bert_tape.hpp"

namespace lora::models {

/// Is a BERT-family encoder (Devlin et al., "BERT", 2018; transformers' BertModel without heads)
/// loaded from a Hugging Face directory: config.json and model.safetensors or its shards.
///
/// `Frozen` stores the weights that do not train: PackedWeight<T> is the fastest, MappedWeight<T>
/// leaves them in the file's pages and copies nothing where the file's numbers are of type T.
template <class T, class Frozen = PackedWeight<T>>
class BertModel {
 public:
  using Scalar = T;

  /// Loads the model. Throws FileError for whatever is wrong with the files, ConfigError for
  /// options that do not fit the model.
  explicit BertModel(const std::filesystem::path& directory, const BertOptions& options = {}) {
    static_cast<void>(directory), static_cast<void>(options);
    throw StateError("BertModel: not built yet");
  }

  [[nodiscard]] const BertConfig& config() const { return config_; }

  /// Computes the last hidden states (N, D), one row for each token of the batch, without dropout.
  void forward(const text::TokenBatch& batch, Matrix<T>& hidden) const {
    BertBuffers<T> buffers;
    forward(batch, buffers, hidden);
  }
  /// Does the same with memory that the next call uses again.
  void forward(const text::TokenBatch& batch, BertBuffers<T>& buffers, Matrix<T>& hidden) const;

  /// Computes the same with dropout, and keeps what backward needs.
  void forward(const text::TokenBatch& batch, BertTape<T>& tape, Matrix<T>& hidden) const;

  /// Adds to the gradients of all that trains, from dhidden (N, D).
  void backward(const Matrix<T>& dhidden, BertTape<T>& tape);

  /// Computes sentence embeddings y (B, D): the mean of the tokens of each text of the last hidden
  /// states, not normalised.
  void embed(const text::TokenBatch& batch, BertBuffers<T>& buffers, Matrix<T>& y) const;

  /// Lists what trains.
  [[nodiscard]] std::vector<Parameter<T>*> parameters();
  /// Lists the layers with adapters, for io::save_adapter and io::load_adapter.
  [[nodiscard]] std::vector<AdapterSlot<T>> adapter_slots();
  /// Lists what is stored whole beside the adapters: modules_to_save, and biases of bias="all".
  [[nodiscard]] std::vector<Parameter<T>*> stored_parameters();
  /// Switches all LoRA adapters on or off: off is the base model.
  void set_adapters_enabled(bool enabled);

  void save_adapter(const std::filesystem::path& directory);
  void load_adapter(const std::filesystem::path& directory);
  [[nodiscard]] const io::PeftConfig& peft_config() const { return peft_; }
  /// Lists the model's modules in transformers' order.
  [[nodiscard]] const std::vector<io::ModuleName>& modules() const { return modules_; }
  [[nodiscard]] Index trainable_parameters();
  [[nodiscard]] Index total_parameters() const;

 private:
  BertConfig config_;
  io::PeftConfig peft_;
  std::vector<io::ModuleName> modules_;
};

}  // namespace lora::models
