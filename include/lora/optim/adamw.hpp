#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "lora/core/finite.hpp"
#include "lora/core/parallel.hpp"
#include "lora/core/parameter_list.hpp"
#include "lora/optim/adamw_update.hpp"
#include "lora/optim/group_matches.hpp"
#include "lora/optim/optimizer_state.hpp"
#include "lora/optim/parameter_group.hpp"
#include "lora/optim/parameter_states.hpp"

namespace lora {

/// Settings of AdamW; the words and defaults are torch.optim.AdamW's.
struct AdamWConfig {
  double learning_rate = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 1e-2;
  std::vector<ParameterGroup> groups = {};
};

/// An optimizer that adapts the step of each element to its gradient's moments, with decoupled
/// weight decay (Loshchilov and Hutter, 2019; torch.optim.AdamW, whose order of operations it
/// follows):
///
///     p = p (1 - lr weight_decay)
///     m = m + (1 - beta1) (g - m),   v = beta2 v + (1 - beta2) g^2
///     p = p - lr / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon)
///
/// in one pass over each parameter. t counts the steps of each parameter by itself. A parameter is
/// known by its identity; its name chooses its group and is what files find its state by.
/// A copy of a layer has parameters of its own and begins anew: whoever goes back to a copy takes
/// state() with it and gives it to set_state().
template <class T>
class AdamW {
 public:
  /// Throws ConfigError for settings that are negative, not finite, or a beta of 1 or more.
  explicit AdamW(AdamWConfig config = {});

  /// Updates every parameter from its gradient, which is left as it is. Throws ConfigError if one
  /// is listed twice, two share a name, or a group matches nothing (when parameters come for the
  /// second time), ShapeError for restored moments of another shape; then nothing has changed.
  void step(const ParameterList<T>& parameters);

  [[nodiscard]] const AdamWConfig& config() const { return config_; }
  [[nodiscard]] double learning_rate() const { return learning_rate_; }

  /// Sets the learning rate of the steps to come. Throws ConfigError unless finite and >= 0.
  void set_learning_rate(double learning_rate) {
    require_non_negative(learning_rate, "AdamW::set_learning_rate", "learning_rate");
    learning_rate_ = learning_rate;
  }

  /// Returns a copy of what it remembers. Throws ConfigError if two parameters share a name.
  [[nodiscard]] OptimizerState<T> state() const {
    OptimizerState<T> state{"AdamW", learning_rate_, {}, {}};
    entries_.for_each("AdamW::state", [&state](const std::string& name, const Entry& entry) {
      state.steps[name] = entry.steps;
      state.tensors[name + ".exp_avg"] = entry.m;
      state.tensors[name + ".exp_avg_sq"] = entry.v;
    });
    return state;
  }

  /// Goes on from `state`. Throws StateError if it is another optimizer's or incomplete.
  void set_state(const OptimizerState<T>& state);

 private:
  struct Entry {
    std::uint64_t steps = 0;
    Matrix<T> m;  // running mean of g
    Matrix<T> v;  // running mean of g^2
  };

  Entry& entry_of(const Parameter<T>& parameter) {
    return entries_.of(parameter, [&] {
      const auto zero = Matrix<T>::Zero(parameter.value.rows(), parameter.value.cols());
      return Entry{0, zero, zero};
    });
  }

  void update(Parameter<T>& parameter) {
    Entry& entry = entry_of(parameter);
    ++entry.steps;
    // In double, as Python computes them, and rounded once where they meet the tensors.
    const auto t = static_cast<double>(entry.steps);
    const ParameterGroup* group = group_of(config_.groups, parameter.name);
    const double rate = learning_rate_ * (group != nullptr ? group->learning_rate_ratio : 1);
    const double decay = group != nullptr ? group->weight_decay.value_or(config_.weight_decay)
                                          : config_.weight_decay;
    const T w1 = static_cast<T>(1 - config_.beta1);
    const AdamWStep<T> step{.shrink = static_cast<T>(1 - rate * decay),
                            .w1 = w1,
                            .near_g = w1 >= T(0.5),
                            .beta2 = static_cast<T>(config_.beta2),
                            .w2 = static_cast<T>(1 - config_.beta2),
                            .step_size = static_cast<T>(rate / (1 - std::pow(config_.beta1, t))),
                            .correction = static_cast<T>(std::sqrt(1 - std::pow(config_.beta2, t))),
                            .epsilon = static_cast<T>(config_.epsilon)};

    constexpr Index run = 4096;  // elements a task: whole packets, so that a cut changes no bit
    const Index size = parameter.size();
    const Index tasks = (size + run - 1) / run;
    parallel_for(tasks, threads_for(tasks, static_cast<double>(size) * 32), [&](Index task) {
      const Index first = task * run;
      adamw_update(step, std::min(run, size - first), parameter.value.data() + first,
                   parameter.grad.data() + first, entry.m.data() + first, entry.v.data() + first);
    });
  }

  AdamWConfig config_;
  double learning_rate_;
  ParameterStates<Entry> entries_;
  GroupMatches matches_;
};

// Defined outside the class, where they are not inline: a program that links lora::compiled then
// takes them from there and compiles none of what they call.

template <class T>
AdamW<T>::AdamW(AdamWConfig config)
    : config_(std::move(config)), learning_rate_(config_.learning_rate) {
  require_non_negative(config_.learning_rate, "AdamW", "learning_rate");
  require_non_negative(config_.epsilon, "AdamW", "epsilon");
  require_non_negative(config_.weight_decay, "AdamW", "weight_decay");
  require_below_one(config_.beta1, "AdamW", "beta1");
  require_below_one(config_.beta2, "AdamW", "beta2");
  validate(config_.groups, "AdamW");
}

template <class T>
void AdamW<T>::step(const ParameterList<T>& parameters) {
  require_distinct(parameters, "AdamW::step");
  bool all_known = !parameters.empty();
  for (const Parameter<T>* parameter : parameters) {
    if (const Entry* entry = entries_.find(*parameter))
      require_same_shape(entry->m, *parameter, "AdamW::step");
    all_known = all_known && entries_.knows(*parameter);
    matches_.note(config_.groups, parameter->name);
  }
  if (all_known) matches_.require_all(config_.groups, "AdamW::step");
  for (Parameter<T>* parameter : parameters) update(*parameter);
}

template <class T>
void AdamW<T>::set_state(const OptimizerState<T>& state) {
  if (state.optimizer != "AdamW")
    throw StateError(
        message("AdamW::set_state: the state is of ", state.optimizer, ", expected AdamW"));
  std::map<std::string, Entry> entries;
  for (const auto& [name, steps] : state.steps) {
    const auto m = state.tensors.find(name + ".exp_avg");
    const auto v = state.tensors.find(name + ".exp_avg_sq");
    if (m == state.tensors.end() || v == state.tensors.end())
      throw StateError(message("AdamW::set_state: no moments of ", name));
    require_shape(v->second, m->second.rows(), m->second.cols(), "AdamW::set_state", v->first);
    entries[name] = {steps, m->second, v->second};
  }
  if (state.tensors.size() != 2 * entries.size())
    throw StateError("AdamW::set_state: there are moments without a number of steps");
  set_learning_rate(state.learning_rate);
  entries_.restore(std::move(entries));
}

}  // namespace lora
