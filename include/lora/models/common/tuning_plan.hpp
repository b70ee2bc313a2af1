#pragma once

#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "lora/core/printable.hpp"
#include "lora/layers/lora_config.hpp"
#include "lora/models/common/model_outline.hpp"
#include "lora/models/common/tuning.hpp"
#include "lora/peft/default_targets.hpp"

namespace lora::models {

/// What becomes of a module in training.
enum class ModuleRole {
  frozen,   ///< stays as it is
  adapted,  ///< stays, with a low-rank update that trains
  trained,  ///< trains as a whole
};

/// How a module is to be built.
struct ModulePlan {
  ModuleRole role = ModuleRole::frozen;
  LoRAConfig lora = {.rank = 1};           ///< where it is adapted
  bool train_bias = false;                 ///< of a module that is otherwise frozen: bias = "all"
  std::vector<int> trainable_tokens = {};  ///< rows that train of one that is otherwise frozen
};

/// What becomes of each module of a model under a Tuning.
class TuningPlan {
 public:
  /// Plans for the modules of `outline`. Throws ConfigError for settings out of range, and what
  /// peft::select_modules throws.
  TuningPlan(const Tuning& tuning, const ModelOutline& outline) {
    if (!outline.head.empty() && !std::holds_alternative<peft::PeftConfig>(tuning))
      train_within(outline, outline.head);
    std::visit([&](const auto& each) { plan(each, outline); }, tuning);
  }

  /// Returns the plan of the module called `name`.
  [[nodiscard]] ModulePlan operator[](const std::string& name) const {
    const auto found = plans_.find(name);
    return found == plans_.end() ? ModulePlan{} : found->second;
  }

  /// Returns the width of bottleneck adapters, 0 where there are none.
  [[nodiscard]] Index bottleneck() const { return bottleneck_; }

  /// Returns the LoRA settings as peft::select_modules resolved them.
  [[nodiscard]] const peft::PeftConfig& peft_config() const { return peft_; }

 private:
  void train_within(const ModelOutline& outline, std::string_view block) {
    for (const peft::ModuleName& module : outline.modules)
      if (is_inside(module.name, block)) plans_[module.name].role = ModuleRole::trained;
  }

  void plan(const HeadOnly&, const ModelOutline&) {}

  void plan(const FullTuning&, const ModelOutline& outline) {
    for (const peft::ModuleName& module : outline.modules)
      plans_[module.name].role = ModuleRole::trained;
  }

  void plan(const LastLayers& last, const ModelOutline& outline) {
    const auto layers = static_cast<Index>(outline.blocks.size());
    if (last.count < 0 || last.count > layers)
      throw ConfigError(
          message("LastLayers: count is ", last.count, ", expected 0 to ", layers, " layers"));
    for (Index i = layers - last.count; i < layers; ++i)
      train_within(outline, outline.blocks[static_cast<std::size_t>(i)]);
    if (!outline.top.empty()) train_within(outline, outline.top);
  }

  void plan(const ModulesOnly& modules, const ModelOutline& outline) {
    if (modules.names.empty())
      throw ConfigError("ModulesOnly: names is empty, expected at least one");
    for (const std::string& name : modules.names) {
      bool found = false;
      for (const peft::ModuleName& module : outline.modules) {
        if (name.empty() || !module.name.ends_with(name)) continue;
        found = true;
        require_stored_by_rows(outline, module.name, "ModulesOnly");
        train_within(outline, module.name);
      }
      if (!found)
        throw ConfigError(message("ModulesOnly: no module's path ends in ", in_quotes(name)));
    }
  }

  void plan(const BottleneckAdapters& adapters, const ModelOutline& outline) {
    if (adapters.features < 1)
      throw ConfigError(
          message("BottleneckAdapters: features is ", adapters.features, ", expected at least 1"));
    bottleneck_ = adapters.features;
    for (const std::string& block : outline.blocks)
      for (const std::string& norm : outline.block_norms) train_within(outline, block + "." + norm);
  }

  void plan(const peft::PeftConfig& config, const ModelOutline& outline) {
    if (!config.layer_replication.empty() && !outline.replicates_layers)
      throw ConfigError(message("layer_replication is set, which is not built for a ",
                                outline.model_type, ", only for models of Llama's family"));
    if (!config.alora_invocation_tokens.empty() && !outline.invokes_adapters)
      throw ConfigError(message("alora_invocation_tokens are set, which are not built for a ",
                                outline.model_type, ", only for causal language models"));
    if (!config.layer_replication.empty() && config.bias != "none")
      throw ConfigError(message("layer_replication is set and bias is \"", config.bias,
                                "\", expected \"none\": layers that are one in the files share "
                                "their biases"));
    peft_ = config;
    peft::set_default_targets(peft_, outline.model_type);
    // PEFT's "all-linear" leaves out the output embedding of a language model; the head of a task
    // it leaves out of sequence classification alone.
    const bool leaves_head = outline.output_embedding.empty() && peft_.task_type == "SEQ_CLS";
    const peft::ModuleSelection selection = peft::select_modules(
        peft_, outline.modules, leaves_head ? outline.head : outline.output_embedding);
    for (const peft::ModuleName& module : outline.modules)
      plans_[module.name].train_bias = peft_.bias == "all";
    for (const std::string& saved : selection.saved) {
      require_stored_by_rows(outline, saved, "modules_to_save");
      train_within(outline, saved);
    }
    auto adapted = selection.adapted.begin();  // in the order of the modules
    for (const peft::ModuleName& module : outline.modules) {
      if (adapted == selection.adapted.end() || module.name != *adapted) continue;
      ++adapted;
      const bool is_end =
          module.kind == peft::ModuleKind::other_layer || module.name == outline.output_embedding;
      if (is_end && !peft_.alora_invocation_tokens.empty())
        throw ConfigError(message("alora_invocation_tokens are set, and ", in_quotes(module.name),
                                  " is adapted, expected neither embeddings nor head"));
      plans_[module.name] = {ModuleRole::adapted, peft_.layer_config(module.name), false, {}};
    }
    for (const auto& [entry, tokens] : peft_.trainable_token_indices)
      plan_tokens(outline, entry, tokens);
  }

  // As in PEFT an entry is the end of names, as plain text.
  void plan_tokens(const ModelOutline& outline, const std::string& entry,
                   const std::vector<int>& tokens) {
    const auto fail = [](const auto&... what) {
      throw ConfigError(message("trainable_token_indices ", what...));
    };
    if (!peft_.alora_invocation_tokens.empty())
      fail(
          "and alora_invocation_tokens are set, which are not built together: rows that train are "
          "there before the invocation too");
    if (entry.empty() && outline.input_embedding.empty())
      fail("is a list, which is of the input embedding, and a ", outline.model_type,
           " has none: name the modules");
    bool found = false;
    for (const peft::ModuleName& module : outline.modules) {
      if (entry.empty() ? module.name != outline.input_embedding : !module.name.ends_with(entry))
        continue;
      found = true;
      if (module.kind != peft::ModuleKind::other_layer && module.name != outline.output_embedding)
        fail("has ", in_quotes(module.name), ", expected an embedding or the head that is one");
      ModulePlan& plan = plans_[module.name];
      if (plan.role != ModuleRole::frozen)
        fail("has ", in_quotes(module.name), ", which is ",
             plan.role == ModuleRole::adapted ? "adapted" : "to train as a whole",
             ": one or the other");
      if (!plan.trainable_tokens.empty()) fail("has ", in_quotes(module.name), " under two names");
      plan.trainable_tokens = tokens;
    }
    if (!found) fail("has ", in_quotes(entry), ", in which no module's name ends");
  }

  // A layer that trains as a whole holds its weight (out, in), and would be stored so.
  static void require_stored_by_rows(const ModelOutline& outline, std::string_view saved,
                                     const char* where) {
    for (const peft::ModuleName& module : outline.modules)
      if (module.kind == peft::ModuleKind::conv1d && is_inside(module.name, saved))
        throw ConfigError(
            message(where, " stores \"", module.name, "\" whole, which is not built for a Conv1D"));
  }

  std::map<std::string, ModulePlan> plans_;
  peft::PeftConfig peft_;
  Index bottleneck_ = 0;
};

}  // namespace lora::models
