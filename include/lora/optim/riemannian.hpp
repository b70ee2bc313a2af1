#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lora/core/matrix.hpp"
#include "lora/core/number_checks.hpp"
#include "lora/core/parameter_list.hpp"
#include "lora/kernels/product.hpp"
#include "lora/optim/damped_inverse.hpp"
#include "lora/optim/optimizer_state.hpp"

namespace lora {

/// Replaces the gradients of every A (rank, in) and B (out, rank) among `parameters` by those under
/// a metric in which both learn alike, however large each is (Zhang and Pilanci, "Riemannian
/// preconditioned LoRA", 2024, arXiv 2402.02347; PEFT 0.21's create_riemannian_optimizer):
///
///     dA <- (B^T B + damping I)^-1 dA,    dB <- dB (A A^T + damping I)^-1
///
/// A and B belong together by their names, which differ in lora_A and lora_B alone; other
/// parameters stay as they are. Returns the number of pairs. Throws ConfigError for a damping that
/// is negative or not finite and a parameter that is listed twice, ShapeError for factors of two
/// ranks; then nothing has changed.
template <class T>
std::size_t precondition_gradients(const ParameterList<T>& parameters, double damping = 1e-2) {
  constexpr const char* where = "precondition_gradients";
  require_non_negative(damping, where, "damping");
  require_distinct(parameters, where);
  std::vector<std::pair<Parameter<T>*, Parameter<T>*>> pairs;
  for (Parameter<T>* a : parameters) {
    constexpr std::string_view mark = "lora_A.";
    const std::size_t at = a->name.find(mark);
    if (at == std::string::npos || a->shape().size() != 2) continue;
    std::string name = a->name;
    name.replace(at, mark.size(), "lora_B.");
    for (Parameter<T>* b : parameters)
      if (b->name == name && b->shape().size() == 2) {
        require_shape(b->value, b->value.rows(), a->value.rows(), where, name, "out", "rank");
        pairs.emplace_back(a, b);
      }
  }
  for (const auto& [a, b] : pairs) {
    const Matrix<T> of_b = b->value.transpose();
    const Matrix<T> to_a = damped_inverse<T>(of_b, damping),
                    to_b = damped_inverse<T>(a->value, damping), da = a->grad, db = b->grad;
    a->grad.setZero();
    b->grad.setZero();
    add_product(MatrixRef<T>(a->grad), T(1), to_a, da);
    add_product(MatrixRef<T>(b->grad), T(1), db, to_b);
  }
  return pairs.size();
}

/// An optimizer that calls precondition_gradients before every step of `Inner`, an AdamW or SGD.
template <class Inner>
class Riemannian {
 public:
  /// Takes the optimizer that steps. Throws ConfigError for a damping that is negative or not
  /// finite.
  explicit Riemannian(Inner inner, double damping = 1e-2)
      : inner_(std::move(inner)), damping_(damping) {
    require_non_negative(damping, "Riemannian", "damping");
  }

  /// Updates every parameter, and leaves the factors' gradients preconditioned. Throws ConfigError
  /// if there is no pair of A and B, and what precondition_gradients and Inner's step throw.
  template <class T>
  void step(const ParameterList<T>& parameters) {
    if (precondition_gradients<T>(parameters, damping_) == 0)
      throw ConfigError("Riemannian::step: no parameters are a pair of lora_A and lora_B");
    inner_.step(parameters);
  }

  [[nodiscard]] double damping() const { return damping_; }
  [[nodiscard]] const auto& config() const { return inner_.config(); }
  [[nodiscard]] double learning_rate() const { return inner_.learning_rate(); }

  /// Sets the learning rate of the steps to come. Throws ConfigError unless finite and >= 0.
  void set_learning_rate(double learning_rate) { inner_.set_learning_rate(learning_rate); }

  /// Returns a copy of what the inner optimizer remembers.
  [[nodiscard]] auto state() const { return inner_.state(); }

  /// Goes on from `state`. Throws StateError if it is another optimizer's or incomplete.
  template <class T>
  void set_state(const OptimizerState<T>& state) {
    inner_.set_state(state);
  }

 private:
  Inner inner_;
  double damping_;
};

}  // namespace lora
