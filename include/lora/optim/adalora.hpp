#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lora/core/finite.hpp"
#include "lora/core/matrix.hpp"
#include "lora/core/parameter_list.hpp"
#include "lora/core/parameter_name.hpp"
#include "lora/core/place.hpp"
#include "lora/init/gaussian.hpp"
#include "lora/layers/adapted_layer_ref.hpp"
#include "lora/optim/adalora_config.hpp"
#include "lora/optim/adamw.hpp"
#include "lora/optim/optimizer_state.hpp"
#include "lora/optim/orthogonality.hpp"
#include "lora/optim/rank_allocator.hpp"
#include "lora/random/random.hpp"
#include "lora/random/substream.hpp"

namespace lora {

/// The singular triplets of one layer: A (rank, in), E (rank, 1), B (out, rank).
template <class T>
struct AdaLoRAFactors {
  Matrix<T> a;  ///< (rank, in)
  Matrix<T> e;  ///< (rank, 1)
  Matrix<T> b;  ///< (out, rank)

  /// Draws A and B, normal with standard deviation 0.02, and sets E to zero, as PEFT does.
  [[nodiscard]] static AdaLoRAFactors draw(Index out, Index rank, Index in, const Random& random) {
    AdaLoRAFactors factors{Matrix<T>(rank, in), Matrix<T>::Zero(rank, 1), Matrix<T>(out, rank)};
    gaussian<T>(factors.a, random, 0.02, 0);
    gaussian<T>(factors.b, random, 0.02, 1);
    return factors;
  }
};

/// The optimizer of AdaLoRA (Zhang et al., 2023, arXiv 2303.10512; PEFT 0.21's AdaLoraModel with
/// its RankAllocator), which trains singular triplets and takes the least important away:
///
///     y = x W^T + b + s drop(x) (E . A)^T B^T,    s = alpha / (init_r + 1e-5)
///
/// A (rank, in), E (rank, 1), which scales its rows, B (out, rank). The layers are plain ones with
/// the factors E . A and B; A and E are kept here. A step turns the gradient of E . A into theirs,
///
///     dA_i = E_i d(E . A)_i,    dE_i = <A_i, d(E . A)_i>
///
/// adds that of orth_reg_weight times the mean of || A A^T - I ||_F and || B^T B - I ||_F over all
/// layers' A and B, lets `Inner` step on A, E, B and whatever else is listed, and sets the E of the
/// triplets to 0 that the budget has no place for (see rank_allocator.hpp). So every layer merges,
/// serves and is saved as a plain adapter at any time; peft::save_adalora writes PEFT's files.
///
///     AdaLoRA<float> optimizer(AdamW<float>({.learning_rate = 1e-3}), {query, value},
///                              {.init_r = 12, .target_r = 4, .total_step = 1000}, /*seed=*/1);
///     ...                                     // forward, backward
///     optimizer.step(parameters);
///
/// Gradients that are clipped are those of E . A and B, before the regularisation. Not for two
/// threads at once.
template <class T, class Inner = AdamW<T>>
class AdaLoRA {
 public:
  /// What the triplets of one layer are by now.
  struct Triplets {
    AdaptedLayerRef<T> layer;    ///< whose active adapter has E . A and B
    Parameter<T> a;              ///< A (rank, in), under the name of the layer's lora_A.weight
    Parameter<T> e;              ///< E (rank, 1), `name.lora_E`
    std::vector<bool> kept;      ///< which have a place in the budget; E is 0 for the others
    Importance<T> a_importance;  ///< of A's elements
    Importance<T> e_importance;  ///< of E's
    Importance<T> b_importance;  ///< of B's
    Matrix<T> scores = {};       ///< (rank, 1), as they were last compared; empty before
  };

  /// Gives every layer's active adapter new factors with E = 0, so that the layers compute what
  /// their weights do. They must outlive this and stay where they are. Throws ConfigError for
  /// settings out of range, if there are no layers, for layers of one name and for one without
  /// plain factors: an embedding, a convolution in groups, DoRA; what the layers throw of
  /// replace_adapter; then nothing has changed.
  AdaLoRA(Inner inner, std::vector<AdaptedLayerRef<T>> layers, AdaLoRAConfig config,
          std::uint64_t seed)
      : AdaLoRA(std::move(inner), layers, config, drawn(layers, config, seed)) {}

  /// Does the same with factors that are there already, one for each layer. Throws ShapeError for
  /// factors that do not fit as well.
  AdaLoRA(Inner inner, std::vector<AdaptedLayerRef<T>> layers, AdaLoRAConfig config,
          std::vector<AdaLoRAFactors<T>> factors)
      : inner_(std::move(inner)), config_(config) {
    require_layers(layers, config_);
    if (factors.size() != layers.size())
      throw ShapeError(message("AdaLoRA: there are factors of ", factors.size(), " layers and ",
                               layers.size(), " layers"));
    const LoRAConfig plain = config_.lora_config(config_.init_r);
    std::vector<std::pair<LoRAConfig, std::vector<Matrix<T>>>> adapters;
    for (std::size_t i = 0; i < layers.size(); ++i) {
      const Place where{"AdaLoRA", layers[i].name()};
      const auto [out, in] = require_plain(layers[i], where);
      AdaLoRAFactors<T>& each = factors[i];
      require_shape(each.a, plain.rank, in, where, "a", "init_r", "in_features");
      require_shape(each.e, plain.rank, 1, where, "e", "init_r", "1");
      require_shape(each.b, out, plain.rank, where, "b", "out_features", "init_r");
      LoRAConfig own = plain;
      own.train_bias = layers[i].config().train_bias;
      layers[i].check_replace(own);
      std::vector<Matrix<T>> values;
      for (const AdapterTensor<T>& tensor : layers[i].tensors(own))
        values.push_back(tensor.suffix == a_suffix   ? scaled(each.a, each.e)
                         : tensor.suffix == b_suffix ? each.b
                                                     : Matrix<T>(tensor.parameter->value));
      adapters.emplace_back(own, std::move(values));
      const std::string& name = layers[i].name();
      triplets_.push_back({layers[i],
                           Parameter<T>(parameter_name(name, "lora_A.weight"), std::move(each.a)),
                           Parameter<T>(parameter_name(name, "lora_E"), std::move(each.e)),
                           std::vector<bool>(static_cast<std::size_t>(plain.rank), true),
                           {},
                           {},
                           {}});
    }
    for (std::size_t i = 0; i < layers.size(); ++i)
      layers[i].replace_adapter(adapters[i].first, std::move(adapters[i].second));
  }

  /// Copies everything. The inner optimizer's memory waits for the copied A and E under their
  /// names, as after set_state.
  AdaLoRA(const AdaLoRA& other)
      : inner_(other.inner_),
        config_(other.config_),
        triplets_(other.triplets_),
        step_(other.step_),
        regularisation_(other.regularisation_) {
    inner_.set_state(other.inner_.state());
  }
  AdaLoRA(AdaLoRA&&) noexcept = default;
  ~AdaLoRA() = default;
  AdaLoRA& operator=(AdaLoRA other) noexcept {
    std::swap(inner_, other.inner_);
    std::swap(config_, other.config_);
    triplets_.swap(other.triplets_);
    std::swap(step_, other.step_);
    std::swap(regularisation_, other.regularisation_);
    return *this;
  }

  /// Updates every parameter: `parameters` has the layers' A and B, and may have others. Leaves
  /// B's gradients with the regularisation's. Throws ConfigError for a list that lacks a layer's
  /// factor, StateError, naming the layer, where something else has changed its A since the last
  /// step, a gradient is not finite, or with the regularisation's is not, or the importance of
  /// triplets outgrows T, and what Inner's step throws; then nothing has changed. (A learning rate
  /// that lets values explode in one step can outgrow T after them.)
  void step(const ParameterList<T>& parameters) {
    require_distinct(parameters, "AdaLoRA::step");
    std::map<const Parameter<T>*, Triplets*> by_a;
    std::vector<LayerFactors> factors;
    for (Triplets& each : triplets_) {
      factors.push_back(listed_factors(each, parameters));
      by_a[factors.back().a] = &each;
    }
    ParameterList<T> trained;
    for (Parameter<T>* parameter : parameters) {
      const auto found = by_a.find(parameter);
      trained.add(found == by_a.end() ? *parameter : found->second->a);
      if (found != by_a.end()) trained.add(found->second->e);
    }

    b_gradients_.resize(factors.size());
    for (std::size_t i = 0; i < factors.size(); ++i) b_gradients_[i] = factors[i].b->grad;
    std::optional<Before> before;
    try {
      const double regularisation = add_regularisation(factors);
      if (may_outgrow(factors)) before.emplace(*this, trained);
      inner_.step(trained);
      ++step_;
      allocate(factors, before.has_value());
      regularisation_ = regularisation;
    } catch (...) {
      for (std::size_t i = 0; i < factors.size(); ++i) factors[i].b->grad = b_gradients_[i];
      if (before) before->restore(*this, trained);
      throw;
    }
    for (std::size_t i = 0; i < triplets_.size(); ++i)
      factors[i].a->value = scaled(triplets_[i].a.value, triplets_[i].e.value);
  }

  /// Returns what the last step's loss had on top of the task's: orth_reg_weight times the mean
  /// distance of A and B from orthogonality, before the step.
  [[nodiscard]] double regularisation() const { return regularisation_; }

  /// Returns the steps that are done.
  [[nodiscard]] std::uint64_t steps() const { return step_; }

  /// Returns the triplets of each layer, in the order in which they were given.
  [[nodiscard]] const std::vector<Triplets>& triplets() const { return triplets_; }

  /// Returns how many triplets of layer `i` have a place in the budget.
  [[nodiscard]] Index rank(std::size_t i) const {
    const std::vector<bool>& kept = triplets_.at(i).kept;
    return static_cast<Index>(std::count(kept.begin(), kept.end(), true));
  }

  /// Returns AdaLoRA's settings.
  [[nodiscard]] const AdaLoRAConfig& adalora_config() const { return config_; }

  /// Returns the inner optimizer.
  [[nodiscard]] const Inner& inner() const { return inner_; }

  [[nodiscard]] double learning_rate() const { return inner_.learning_rate(); }

  /// Sets the learning rate of the steps to come. Throws ConfigError unless finite and >= 0.
  void set_learning_rate(double learning_rate) { inner_.set_learning_rate(learning_rate); }

  /// Returns a copy of what it remembers: the inner optimizer's state, A, E, the averages and which
  /// triplets are left.
  [[nodiscard]] OptimizerState<T> state() const {
    OptimizerState<T> state = inner_.state();
    state.optimizer = prefix + state.optimizer;
    state.steps[steps_name] = step_;
    for (const Triplets& each : triplets_) {
      Matrix<T> kept(static_cast<Index>(each.kept.size()), 1);
      for (std::size_t r = 0; r < each.kept.size(); ++r)
        kept(static_cast<Index>(r), 0) = each.kept[r] ? T(1) : T(0);
      const auto add = [&](const char* kind, const auto& value) {
        if (value.size() > 0) state.tensors[tensor_name(each, kind)] = value;
      };
      add("a", each.a.value);
      add("e", each.e.value);
      add("kept", kept);
      add("scores", each.scores);
      add("a.sensitivity", each.a_importance.sensitivity);
      add("a.uncertainty", each.a_importance.uncertainty);
      add("e.sensitivity", each.e_importance.sensitivity);
      add("e.uncertainty", each.e_importance.uncertainty);
      add("b.sensitivity", each.b_importance.sensitivity);
      add("b.uncertainty", each.b_importance.uncertainty);
    }
    return state;
  }

  /// Goes on from `state`, once the layers' factors are as they were then too. Throws StateError if
  /// it is another optimizer's or incomplete, and ShapeError; then nothing has changed.
  void set_state(const OptimizerState<T>& state) {
    constexpr const char* where = "AdaLoRA::set_state";
    OptimizerState<T> inner_state = state;
    const auto steps = state.steps.find(steps_name);
    if (!state.optimizer.starts_with(prefix) || steps == state.steps.end())
      throw StateError(message(where, ": the state is of ", state.optimizer, ", expected AdaLoRA"));
    inner_state.optimizer = state.optimizer.substr(std::string(prefix).size());
    inner_state.steps.erase(steps_name);
    std::vector<Triplets> triplets = triplets_;
    for (Triplets& each : triplets) {
      const Index rank = config_.init_r, in = each.a.value.cols();
      const Index out = factors_of(each.layer).b->value.rows();
      const auto take = [&](const char* kind, Index rows, Index cols, bool optional) {
        const auto found = inner_state.tensors.find(tensor_name(each, kind));
        if (found == inner_state.tensors.end()) {
          if (optional) return Matrix<T>();
          throw StateError(message(where, ": there is no ", tensor_name(each, kind)));
        }
        require_shape(found->second, rows, cols, where, found->first);
        if (!all_finite<T>(found->second))
          throw StateError(message(where, ": ", found->first, " is not finite"));
        Matrix<T> value = std::move(found->second);
        inner_state.tensors.erase(found);
        return value;
      };
      each.a.value = take("a", rank, in, false);
      each.e.value = take("e", rank, 1, false);
      const Matrix<T> kept = take("kept", rank, 1, false);
      for (Index r = 0; r < rank; ++r) each.kept[static_cast<std::size_t>(r)] = kept(r, 0) != 0;
      each.scores = take("scores", rank, 1, true);
      const bool is_new = !inner_state.tensors.contains(tensor_name(each, "a.sensitivity"));
      each.a_importance = {take("a.sensitivity", rank, in, is_new),
                           take("a.uncertainty", rank, in, is_new)};
      each.e_importance = {take("e.sensitivity", rank, 1, is_new),
                           take("e.uncertainty", rank, 1, is_new)};
      each.b_importance = {take("b.sensitivity", out, rank, is_new),
                           take("b.uncertainty", out, rank, is_new)};
    }
    inner_.set_state(inner_state);
    triplets_.swap(triplets);
    step_ = steps->second;
  }

 private:
  static constexpr const char* prefix = "AdaLoRA.";
  static constexpr const char* steps_name = "AdaLoRA.steps";
  static constexpr const char* a_suffix = ".lora_A.weight";
  static constexpr const char* b_suffix = ".lora_B.weight";

  struct LayerFactors {
    Parameter<T>* a;
    Parameter<T>* b;
  };

  static std::string tensor_name(const Triplets& triplets, const char* kind) {
    return prefix + triplets.layer.name() + "." + kind;
  }

  // Returns E . A: the rows of `a` times the elements of e.
  static Matrix<T> scaled(ConstMatrixRef<T> a, ConstMatrixRef<T> e) {
    return (a.array().colwise() * e.col(0).array()).matrix();
  }

  static void require_layers(const std::vector<AdaptedLayerRef<T>>& layers,
                             const AdaLoRAConfig& config) {
    validate(config, "AdaLoRA");
    if (layers.empty()) throw ConfigError("AdaLoRA: there are no layers");
    const std::vector<AdaptedLayerView<T>> views(layers.begin(), layers.end());
    require_distinct_layers<T>(views, "AdaLoRA");
  }

  // Returns (out, in).
  static std::pair<Index, Index> require_plain(const AdaptedLayerRef<T>& layer,
                                               const Place& where) {
    const LoRAConfig& config = layer.config();
    if (config.use_dora || config.lora_bias || config.freeze_a)
      throw ConfigError(message(where, ": ",
                                config.use_dora    ? "use_dora"
                                : config.lora_bias ? "lora_bias"
                                                   : "freeze_a",
                                " is set, which AdaLoRA does not have"));
    const LayerFactors factors = factors_of(layer);
    if (factors.b->value.cols() != config.rank)
      throw ConfigError(message(where,
                                ": the layer is a convolution in groups, which AdaLoRA does "
                                "not have"));
    return {factors.b->value.rows(), factors.a->value.cols()};
  }

  static std::vector<AdaLoRAFactors<T>> drawn(const std::vector<AdaptedLayerRef<T>>& layers,
                                              const AdaLoRAConfig& config, std::uint64_t seed) {
    require_layers(layers, config);
    std::vector<AdaLoRAFactors<T>> factors;
    for (const AdaptedLayerRef<T>& layer : layers) {
      const auto [out, in] = require_plain(layer, {"AdaLoRA", layer.name()});
      factors.push_back(AdaLoRAFactors<T>::draw(
          out, config.init_r, in,
          Random(seed, RandomStream::initialisation, substream_of(layer.name()))));
    }
    return factors;
  }

  static LayerFactors factors_of(const AdaptedLayerRef<T>& layer) {
    LayerFactors factors{nullptr, nullptr};
    const ParameterList<T> parameters = layer.parameters();
    for (const AdapterTensor<T>& tensor : layer.tensors(layer.config()))
      for (Parameter<T>* parameter : parameters) {
        if (parameter != tensor.parameter) continue;
        if (tensor.suffix == a_suffix) factors.a = parameter;
        if (tensor.suffix == b_suffix) factors.b = parameter;
      }
    if (factors.a == nullptr || factors.b == nullptr)
      throw ConfigError(message(Place{"AdaLoRA", layer.name()},
                                ": the layer has no lora_A.weight and lora_B.weight that train"));
    return factors;
  }

  static LayerFactors listed_factors(const Triplets& each, const ParameterList<T>& parameters) {
    const Place where{"AdaLoRA::step", each.layer.name()};
    const LayerFactors factors = factors_of(each.layer);
    for (const Parameter<T>* factor : {factors.a, factors.b})
      if (std::find(parameters.begin(), parameters.end(), factor) == parameters.end())
        throw ConfigError(message(where, ": the parameters lack ", factor->name,
                                  ": ranks go to all layers at once, so list those of all"));
    const Matrix<T> expected = scaled(each.a.value, each.e.value);
    const auto& a = factors.a->value;
    if (a.rows() != expected.rows() || a.cols() != expected.cols() ||
        !(a.array() == expected.array()).all())
      throw StateError(message(where,
                               ": its A is not E . A of the last step: another optimizer has "
                               "trained it, or its adapter was loaded or replaced"));
    if (!all_finite<T>(factors.a->grad) || !all_finite<T>(factors.b->grad))
      throw StateError(message(where, ": the gradient is not finite"));
    return factors;
  }

  // What a step changes.
  class Before {
   public:
    Before(const AdaLoRA& self, const ParameterList<T>& trained)
        : inner_(self.inner_.state()), triplets_(self.triplets_), step_(self.step_) {
      for (const Parameter<T>* parameter : trained) values_.push_back(parameter->value);
    }

    void restore(AdaLoRA& self, const ParameterList<T>& trained) {
      self.inner_.set_state(inner_);
      self.step_ = step_;
      for (std::size_t i = 0; i < triplets_.size(); ++i) {
        Triplets &to = self.triplets_[i], &from = triplets_[i];
        to.kept.swap(from.kept);
        to.scores.swap(from.scores);
        std::swap(to.a_importance, from.a_importance);
        std::swap(to.e_importance, from.e_importance);
        std::swap(to.b_importance, from.b_importance);
      }
      std::size_t i = 0;
      for (Parameter<T>* parameter : trained) parameter->value = values_[i++];
    }

   private:
    OptimizerState<T> inner_;
    std::vector<Triplets> triplets_;
    std::uint64_t step_;
    std::vector<Matrix<T>> values_;
  };

  // Makes the gradients of A, E and B. Returns what the regularisation adds to the loss.
  double add_regularisation(const std::vector<LayerFactors>& factors) {
    double regularisation = 0;
    const double weight = config_.orth_reg_weight / (2.0 * static_cast<double>(triplets_.size()));
    for (std::size_t i = 0; i < triplets_.size(); ++i) {
      Triplets& each = triplets_[i];
      const ConstMatrixRef<T> d = factors[i].a->grad;  // of E . A
      each.a.grad = scaled(d, each.e.value);
      each.e.grad = d.cwiseProduct(ConstMatrixRef<T>(each.a.value)).rowwise().sum();
      regularisation += add_orthogonality(each.a, weight);
      regularisation += add_orthogonality(*factors[i].b, weight, true);
      for (const Parameter<T>* parameter : {&each.a, &each.e, factors[i].b})
        if (!all_finite<T>(parameter->grad))
          throw StateError(message(Place{"AdaLoRA::step", each.layer.name()}, ": the gradient of ",
                                   parameter->name, " is not finite with the regularisation's"));
    }
    return regularisation;
  }

  // Tells whether |w dw| may come near to what the square of a score of type T can be. The squares
  // of dw are for optimizers whose steps grow with it.
  [[nodiscard]] bool may_outgrow(const std::vector<LayerFactors>& factors) const {
    const double limit = 1e-3 * std::sqrt(static_cast<double>(std::numeric_limits<T>::max()));
    const auto is_large = [&](const Parameter<T>& parameter) {
      const auto largest = [](const Matrix<T>& m) {
        return static_cast<double>(m.cwiseAbs().maxCoeff());
      };
      const double g = largest(parameter.grad);
      return g * (largest(parameter.value) + g + 1) > limit;
    };
    for (std::size_t i = 0; i < triplets_.size(); ++i) {
      const Triplets& each = triplets_[i];
      if (is_large(each.a) || is_large(each.e) || is_large(*factors[i].b)) return true;
      for (const auto* importance : {&each.a_importance, &each.e_importance, &each.b_importance})
        if (importance->sensitivity.size() > 0 &&
            static_cast<double>(std::max(importance->sensitivity.maxCoeff(),
                                         importance->uncertainty.maxCoeff())) > limit)
          return true;
    }
    return false;
  }

  // Throws StateError, naming the layer, unless its averages and scores are finite.
  static void require_finite_importance(const Triplets& each) {
    if (!all_finite<T>(each.scores) || !each.a_importance.is_finite() ||
        !each.e_importance.is_finite() || !each.b_importance.is_finite())
      throw StateError(message(Place{"AdaLoRA::step", each.layer.name()},
                               ": the importance of its triplets, a product of values and "
                               "gradients, is not finite: clip the gradients, or scale the loss "
                               "down"));
  }

  // Updates the importance, and takes ranks away where it is time to.
  void allocate(const std::vector<LayerFactors>& factors, bool may_outgrow) {
    const std::uint64_t last = config_.total_step - config_.tfinal;
    if (step_ < last)
      for (std::size_t i = 0; i < triplets_.size(); ++i) {
        Triplets& each = triplets_[i];
        each.a_importance.update(each.a, config_);
        each.e_importance.update(each.e, config_);
        each.b_importance.update(*factors[i].b, config_);
        if (may_outgrow) require_finite_importance(each);
      }
    if (takes_ranks(config_, step_)) {
      std::vector<Matrix<T>> scores;
      for (Triplets& each : triplets_) {
        each.scores = triplet_scores(each.a_importance, each.e_importance, each.b_importance);
        if (!all_finite<T>(each.scores)) require_finite_importance(each);
        scores.push_back(each.scores);
      }
      const auto kept =
          most_important(scores, rank_budget(config_, static_cast<Index>(triplets_.size()), step_));
      for (std::size_t i = 0; i < triplets_.size(); ++i) triplets_[i].kept = kept[i];
    }
    if (!takes_ranks(config_, step_) && step_ < last) return;
    for (Triplets& each : triplets_)
      for (std::size_t r = 0; r < each.kept.size(); ++r)
        if (!each.kept[r]) each.e.value(static_cast<Index>(r), 0) = 0;
  }

  Inner inner_;
  AdaLoRAConfig config_;
  std::vector<Triplets> triplets_;
  std::uint64_t step_ = 0;
  double regularisation_ = 0;
  std::vector<Matrix<T>> b_gradients_;  // of B as they came, while a step runs
};

}  // namespace lora
