#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "lora/layers/lora_config.hpp"
#include "lora/models/bert/bert_config.hpp"
#include "lora/models/common/tuning.hpp"
#include "lora/peft/default_targets.hpp"
#include "lora/peft/module_selection.hpp"

namespace lora::models {

/// Says what becomes of a module in training.
enum class ModuleRole {
  frozen,   ///< stays as it is
  adapted,  ///< stays, with a low-rank update that trains
  trained,  ///< trains as a whole
};

/// Says how a module is to be built.
struct ModulePlan {
  ModuleRole role = ModuleRole::frozen;
  LoRAConfig lora = {.rank = 1};  ///< where it is adapted
  bool train_bias = false;        ///< of a module that is otherwise frozen: bias = "all"
};

/// Decides what becomes of each module of a BERT model under a Tuning.
class TuningPlan {
 public:
  /// Throws ConfigError for settings out of range, and what peft::select_modules throws. `layers`
  /// is the number of the encoder's; `prefix` stands before its modules' names; `head` is the
  /// classifier's name, or empty.
  TuningPlan(const Tuning& tuning, std::span<const peft::ModuleName> modules, Index layers,
             std::string_view prefix, std::string_view head) {
    const auto train_within = [&](std::string_view block) {
      for (const peft::ModuleName& module : modules)
        if (is_inside(module.name, block)) plans_[module.name].role = ModuleRole::trained;
    };
    const auto layer = [&](Index i) { return message(prefix, "encoder.layer.", i); };
    if (!head.empty() && !std::holds_alternative<peft::PeftConfig>(tuning)) train_within(head);
    if (const auto* config = std::get_if<peft::PeftConfig>(&tuning)) {
      plan_lora(*config, modules, head);
    } else if (std::holds_alternative<FullTuning>(tuning)) {
      for (const peft::ModuleName& module : modules) plans_[module.name].role = ModuleRole::trained;
    } else if (const auto* last = std::get_if<LastLayers>(&tuning)) {
      if (last->count < 0 || last->count > layers)
        throw ConfigError(
            message("LastLayers: count is ", last->count, ", expected 0 to ", layers, " layers"));
      for (Index i = layers - last->count; i < layers; ++i) train_within(layer(i));
      train_within(std::string(prefix) + "pooler");
    } else if (const auto* adapters = std::get_if<BottleneckAdapters>(&tuning)) {
      if (adapters->features < 1)
        throw ConfigError(message("BottleneckAdapters: features is ", adapters->features,
                                  ", expected at least 1"));
      bottleneck_ = adapters->features;
      for (Index i = 0; i < layers; ++i) {
        train_within(layer(i) + ".attention.output.LayerNorm");
        train_within(layer(i) + ".output.LayerNorm");
      }
    }
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
  static bool is_inside(std::string_view name, std::string_view block) {
    return name == block ||
           (name.size() > block.size() && name.starts_with(block) && name[block.size()] == '.');
  }

  void plan_lora(const peft::PeftConfig& config, std::span<const peft::ModuleName> modules,
                 std::string_view head) {
    peft_ = config;
    peft::set_default_targets(peft_, bert_model_type);
    // PEFT looks at the task: "all-linear" leaves the head out of sequence classification alone.
    const peft::ModuleSelection selection =
        peft::select_modules(peft_, modules, peft_.task_type == "SEQ_CLS" ? head : "");
    for (const peft::ModuleName& module : modules) {
      ModulePlan& plan = plans_[module.name];
      plan.train_bias = peft_.bias == "all";
      for (const std::string& saved : selection.saved)
        if (is_inside(module.name, saved)) plan.role = ModuleRole::trained;
    }
    auto adapted = selection.adapted.begin();  // in the order of the modules
    for (const peft::ModuleName& module : modules) {
      if (adapted == selection.adapted.end() || module.name != *adapted) continue;
      ++adapted;
      if (module.kind != peft::ModuleKind::linear)
        throw ConfigError("target_modules selects \"" + module.name +
                          "\", an embedding: LoRA is built for BERT's linear modules");
      ModulePlan& plan = plans_[module.name];
      plan = {ModuleRole::adapted, peft_.layer_config(module.name), false};
    }
  }

  std::map<std::string, ModulePlan> plans_;
  peft::PeftConfig peft_;
  Index bottleneck_ = 0;
};

}  // namespace lora::models
