#pragma once

#include <cmath>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "lora/core/parameter_list.hpp"
#include "lora/optim/group_matches.hpp"
#include "lora/optim/optimizer_state.hpp"
#include "lora/optim/parameter_group.hpp"
#include "lora/optim/parameter_states.hpp"

namespace lora {

/// Settings of SGD; the words and defaults are torch.optim.SGD's.
struct SGDConfig {
  double learning_rate = 1e-3;
  double momentum = 0;
  double dampening = 0;
  double weight_decay = 0;  ///< added to the gradient: an L2 penalty
  bool nesterov = false;
  std::vector<ParameterGroup> groups = {};
};

/// An optimizer that steps down the gradient, with momentum (torch.optim.SGD):
///
///     g = grad + weight_decay p
///     m = momentum m + (1 - dampening) g      (m = g in a parameter's first step)
///     p = p - lr (g + momentum m if nesterov, else m, or g without momentum)
template <class T>
class SGD {
 public:
  /// Throws ConfigError for settings that are negative, not finite, or nesterov without momentum
  /// or with dampening.
  explicit SGD(SGDConfig config = {})
      : config_(std::move(config)), learning_rate_(config_.learning_rate) {
    require_non_negative(config_.learning_rate, "SGD", "learning_rate");
    require_non_negative(config_.momentum, "SGD", "momentum");
    require_non_negative(config_.weight_decay, "SGD", "weight_decay");
    require_finite(config_.dampening, "SGD", "dampening");
    if (config_.nesterov && (config_.momentum == 0 || config_.dampening != 0))
      throw ConfigError("SGD: nesterov needs momentum above 0 and dampening of 0");
    validate(config_.groups, "SGD");
  }

  /// Updates every parameter from its gradient, which is left as it is. Throws ConfigError if one
  /// is listed twice, two share a name, or a group matches nothing (when parameters come for the
  /// second time), ShapeError for restored momentum of another shape; then nothing has changed.
  void step(const ParameterList<T>& parameters) {
    require_distinct(parameters, "SGD::step");
    bool all_known = !parameters.empty();
    for (const Parameter<T>* parameter : parameters) {
      if (const Entry* entry = entries_.find(*parameter);
          entry != nullptr && entry->momentum.size() > 0)
        require_same_shape(entry->momentum, *parameter, "SGD::step");
      all_known = all_known && entries_.knows(*parameter);
      matches_.note(config_.groups, parameter->name);
    }
    if (all_known) matches_.require_all(config_.groups, "SGD::step");
    for (Parameter<T>* parameter : parameters) update(*parameter);
  }

  [[nodiscard]] const SGDConfig& config() const { return config_; }
  [[nodiscard]] double learning_rate() const { return learning_rate_; }

  /// Sets the learning rate of the steps to come. Throws ConfigError unless finite and >= 0.
  void set_learning_rate(double learning_rate) {
    require_non_negative(learning_rate, "SGD::set_learning_rate", "learning_rate");
    learning_rate_ = learning_rate;
  }

  /// Returns a copy of what it remembers. Throws ConfigError if two parameters share a name.
  [[nodiscard]] OptimizerState<T> state() const {
    OptimizerState<T> state{"SGD", learning_rate_, {}, {}};
    entries_.for_each("SGD::state", [&state](const std::string& name, const Entry& entry) {
      if (entry.momentum.size() == 0) return;
      state.steps[name] = 1;
      state.tensors[name + ".momentum"] = entry.momentum;
    });
    return state;
  }

  /// Goes on from `state`. Throws StateError if it is another optimizer's or incomplete.
  void set_state(const OptimizerState<T>& state) {
    if (state.optimizer != "SGD")
      throw StateError(
          message("SGD::set_state: the state is of ", state.optimizer, ", expected SGD"));
    std::map<std::string, Entry> entries;
    for (const auto& [name, steps] : state.steps) {
      const auto momentum = state.tensors.find(name + ".momentum");
      if (momentum == state.tensors.end())
        throw StateError(message("SGD::set_state: no tensor ", name, ".momentum"));
      entries[name] = {momentum->second};
    }
    if (state.tensors.size() != entries.size())
      throw StateError("SGD::set_state: there is momentum without a number of steps");
    set_learning_rate(state.learning_rate);
    entries_.restore(std::move(entries));
  }

 private:
  struct Entry {
    Matrix<T> momentum;  // empty before the first step
  };

  Entry& entry_of(const Parameter<T>& parameter) {
    return entries_.of(parameter, [] { return Entry{}; });
  }

  void update(Parameter<T>& parameter) {
    Entry& entry = entry_of(parameter);
    const ParameterGroup* group = group_of(config_.groups, parameter.name);
    const double ratio = group != nullptr ? group->learning_rate_ratio : 1;
    const T rate = static_cast<T>(learning_rate_ * ratio);
    const T decay =
        static_cast<T>(group != nullptr ? group->weight_decay.value_or(config_.weight_decay)
                                        : config_.weight_decay);
    const T mu = static_cast<T>(config_.momentum);
    const auto g = parameter.grad + decay * parameter.value;
    if (config_.momentum == 0) {
      parameter.value -= rate * g;
      return;
    }
    if (entry.momentum.size() == 0)
      entry.momentum = g;
    else
      entry.momentum = mu * entry.momentum + static_cast<T>(1 - config_.dampening) * g;
    if (config_.nesterov)
      parameter.value -= rate * (g + mu * entry.momentum);
    else
      parameter.value -= rate * entry.momentum;
  }

  SGDConfig config_;
  double learning_rate_;
  ParameterStates<Entry> entries_;
  GroupMatches matches_;
};

}  // namespace lora
