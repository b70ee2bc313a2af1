#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lora/core/parameter_list.hpp"
#include "lora/core/place.hpp"
#include "lora/frozen/frozen_weight.hpp"
#include "lora/layers/adapter_owner.hpp"
#include "lora/layers/merge_record.hpp"
#include "lora/models/common/model_parameters.hpp"
#include "lora/models/common/model_source.hpp"
#include "lora/peft/adapter.hpp"
#include "lora/peft/default_targets.hpp"

namespace lora::models {

/// The part that models which can be adapted have in common: their parameters, and their adapters
/// as files. `Model` derives from it and has list(ModelParameters<T>&), for_each_adapted(action)
/// and FrozenStorage, for_each_trainable_tokens(action) where rows of embeddings may train;
/// `Config` is its family's.
///
/// Pointers and slots stay valid until the model is moved or destroyed.
template <class T, class Model, class Config>
class AdaptedModel {
 public:
  using Scalar = T;

  [[nodiscard]] const Config& config() const { return config_; }

  /// Lists the model's modules in the order of PyTorch's named_modules(), blocks included.
  [[nodiscard]] const std::vector<peft::ModuleName>& modules() const { return outline_.modules; }

  /// Lists what trains.
  [[nodiscard]] ParameterList<T> parameters() { return listed().trained; }

  /// Lists the layers with LoRA adapters.
  [[nodiscard]] std::vector<AdaptedLayerRef<T>> adapted_layers() { return listed().slots; }

  /// Lists what trains and is stored whole, beside the adapters: modules_to_save, the biases of
  /// bias = "all", and whatever trains under a tuning other than LoRA.
  [[nodiscard]] ParameterList<T> stored_parameters() { return listed().stored; }

  /// Returns the number of scalars that train.
  [[nodiscard]] Index trainable_parameters() { return count_parameters(parameters()); }

  /// Returns the number of scalars of the model, adapters included.
  [[nodiscard]] Index total_parameters() { return listed().total; }

  /// Returns the LoRA settings with their module names resolved; meaningless under other tunings.
  [[nodiscard]] const peft::PeftConfig& peft_config() const { return peft_; }

  /// Switches all adapters on or off: off is the base model, but for what trains whole. Throws
  /// StateError while merged.
  void set_adapters_enabled(bool enabled) {
    const auto set = [&](auto& part) { enabled ? part.enable_adapter() : part.disable_adapter(); };
    model().for_each_adapted(set);
    if constexpr (requires { model().for_each_trainable_tokens(set); })
      model().for_each_trainable_tokens(set);
  }

  /// Merges all adapters into their weights, after which forward costs what the frozen model's
  /// does; see LoRALinear::merge. Rows of trainable_token_indices are as they are, in the place of
  /// their weight's, before and after. Throws StateError, for aLoRA too, and then nothing is merged
  /// (in permanent mode what was merged stays so where a layer fails for its numbers: see DoRA).
  /// Only for storages that hold the sum in T: rounding it to 16 bits or to codes can lose most of
  /// a small update. LoRALinear::merged_weight gives the sum of a layer over any storage, to be
  /// stored or exported.
  template <class M = Model>
  requires MergeableWeight<typename M::FrozenStorage, T>
  void merge_adapters(MergeMode mode = MergeMode::reversible) {
    if (!peft_.alora_invocation_tokens.empty())
      throw StateError(
          "merge_adapters: the adapter has alora_invocation_tokens, and tokens before them are not "
          "its own");
    model().for_each_adapted([](auto& layer) {
      const char* why = layer.merged()               ? "is merged already"
                        : !layer.adapter_enabled()   ? "is switched off"
                        : !layer.weight().writable() ? "lies over memory that is read-only"
                                                     : nullptr;
      if (why != nullptr)
        throw StateError(message(Place{"merge_adapters", layer.name()}, ": the adapter ", why));
      if constexpr (requires { layer.bias_in_use(); })
        static_cast<void>(layer.bias_in_use());  // throws where lora_bias has nothing to go into
    });
    std::size_t merged = 0;
    try {
      model().for_each_adapted([&](auto& layer) {
        layer.merge(mode);
        ++merged;
      });
    } catch (...) {
      if (mode == MergeMode::reversible)
        model().for_each_adapted([&](auto& layer) {
          if (merged > 0) layer.unmerge();
          if (merged > 0) --merged;
        });
      throw;
    }
  }

  /// Gives all weights back the bits that they had before merge_adapters. Throws StateError unless
  /// they were merged reversibly.
  template <class M = Model>
  requires MergeableWeight<typename M::FrozenStorage, T>
  void unmerge_adapters() {
    model().for_each_adapted([](auto& layer) { layer.unmerge(); });
  }

  /// Saves the adapters and what is stored whole beside them as PEFT does. Throws StateError under
  /// another tuning than LoRA, and what peft::save_adapter throws.
  void save_adapter(const std::filesystem::path& directory) {
    const ModelParameters<T> all = listed();
    if (all.slots.empty()) throw StateError("save_adapter: the model has no LoRA adapters");
    peft::save_adapter<T>(directory, all.slots,
                          {.config = peft_, .parameters = all.stored, .modules = outline_.modules});
  }

  /// Loads an adapter that PEFT or save_adapter wrote for the modules that this model adapts: build
  /// the model with peft::read_peft_config(directory) as its tuning. Copies of the base model's
  /// tensors beside the adapter are accepted, and so are modules that its target_modules selects
  /// and that it has no tensors for. Throws what peft::load_adapter throws, and then nothing has
  /// changed.
  void load_adapter(const std::filesystem::path& directory) {
    const ModelParameters<T> all = listed();
    const auto base = [this](const std::string& name) { return weights_->find(name); };
    peft::PeftConfig config =
        peft::load_adapter<T>(directory, all.slots,
                              {.parameters = all.stored,
                               .base = base,
                               .may_lack_layers = true,
                               .layer_replication = peft_.layer_replication,
                               .alora_invocation_tokens = peft_.alora_invocation_tokens,
                               .trainable_token_indices = peft_.trainable_token_indices});
    peft::set_default_targets(config, outline_.model_type);
    // Which goes by the modules, whatever the file says.
    if (const auto order = peft_.other.find("fan_in_fan_out"); order != peft_.other.end())
      config.other.insert_or_assign(order->first, order->second);
    peft_ = std::move(config);
  }

 protected:
  explicit AdaptedModel(const ModelSource<T, Config>& source)
      : config_(source.config),
        weights_(source.weights),
        outline_(source.outline),
        peft_(source.plan.peft_config()) {}

  /// Ties what is the model's and not a layer's to its adapter: rows of trainable_token_indices,
  /// which act beside whichever is active, and the tokens of aLoRA, which route to it. `self` is
  /// the part of the model that has the layers.
  template <class Self>
  void tie_adapters(Self& self) const {
    const bool rows = !peft_.trainable_token_indices.empty();
    if (!rows && peft_.alora_invocation_tokens.empty()) return;
    const std::string reason =
        rows ? "the model's rows of trainable_token_indices belong to it, and would act beside "
               "another or none (set_adapters_enabled(false) gives the base model)"
             : "it is invoked by the model's alora_invocation_tokens";
    self.for_each_adapted([&](auto& layer) { layer.tie_adapter(default_adapter, reason, rows); });
  }

  /// Ends what loading alone needs.
  void finish_loading() const {
    weights_->end_sharing();
    weights_->release_pages();
  }

 private:
  [[nodiscard]] Model& model() { return static_cast<Model&>(*this); }

  [[nodiscard]] ModelParameters<T> listed() {
    ModelParameters<T> list;
    model().list(list);
    return list;
  }

  Config config_;
  std::shared_ptr<PretrainedWeights<T>> weights_;  // which frozen layers may look at
  ModelOutline outline_;
  peft::PeftConfig peft_;
};

}  // namespace lora::models
