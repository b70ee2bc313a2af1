#pragma once

#include <cstddef>
#include <cstdint>
#include <lora/lora.hpp>
#include <utility>
#include <vector>

namespace digits {

using lora::Index;

/// Computes y = x W^T + b with memory that it borrows and never changes.
template <class T>
class FrozenLinear {
 public:
  using Scalar = T;

  /// Borrows the weight and copies `bias` (out).
  FrozenLinear(lora::MappedWeight<T> weight, lora::Vector<T> bias)
      : weight_(weight), bias_(std::move(bias)) {}

  void forward(lora::ConstMatrixRef<T> x, lora::Matrix<T>& y) const {
    y.resize(x.rows(), weight_.out_features());
    y.rowwise() = bias_.transpose();
    weight_.add_product(x, y);
  }

  [[nodiscard]] Index out_features() const { return weight_.out_features(); }
  [[nodiscard]] Index total_parameters() const {
    return weight_.out_features() * weight_.in_features() + bias_.size();
  }

 private:
  lora::MappedWeight<T> weight_;
  lora::Vector<T> bias_;
};

/// Keeps what a training step computes, from one step to the next.
template <class T>
struct Activations {
  lora::Tape<T> tape;
  lora::Matrix<T> hidden1, hidden2, logits;     // (N, hidden), (N, hidden), (N, classes)
  lora::Matrix<T> dhidden1, dhidden2, dlogits;  // gradients of the same shapes

  /// Returns the bytes that are held.
  [[nodiscard]] std::size_t bytes() const {
    Index scalars = 0;
    for (const auto* each : {&hidden1, &hidden2, &logits, &dhidden1, &dhidden2, &dlogits})
      scalars += each->size();
    return static_cast<std::size_t>(scalars) * sizeof(T) + tape.bytes();
  }
};

/// Computes logits = head(relu(fc2(relu(fc1(x))))).
///
/// The kind of the hidden layers says what is trained beside the head: lora::Linear all of them,
/// lora::LoRALinear their adapters, FrozenLinear nothing.
template <class Hidden>
class Network {
 public:
  using T = typename Hidden::Scalar;
  static constexpr bool hidden_trains = lora::HasParameters<Hidden, T>;

  /// Puts the three layers together; they are named fc1, fc2 and head.
  Network(Hidden first, Hidden second, lora::Linear<T> last)
      : fc1(std::move(first)), fc2(std::move(second)), head(std::move(last)) {
    if constexpr (hidden_trains) {
      fc1.set_name("fc1");
      fc2.set_name("fc2");
    }
    head.set_name("head");
  }

  /// Computes what the head looks at: features (N, hidden) for x (N, pixels).
  void features(lora::ConstMatrixRef<T> x, lora::Matrix<T>& out) const {
    lora::Matrix<T> hidden1;
    fc1.forward(x, hidden1);
    lora::relu(hidden1, hidden1);
    fc2.forward(hidden1, out);
    lora::relu(out, out);
  }

  /// Returns the logits (N, classes) of `any_head` on this network's features.
  [[nodiscard]] lora::Matrix<T> logits(lora::ConstMatrixRef<T> x,
                                       const lora::Linear<T>& any_head) const {
    lora::Matrix<T> hidden2, y;
    features(x, hidden2);
    any_head.forward(hidden2, y);
    return y;
  }
  [[nodiscard]] lora::Matrix<T> logits(lora::ConstMatrixRef<T> x) const { return logits(x, head); }

  /// Computes a.logits and keeps what backward needs.
  void forward(lora::ConstMatrixRef<T> x, Activations<T>& a) const {
    if constexpr (hidden_trains) {
      fc1.forward(x, a.tape, a.hidden1);
      lora::relu(a.hidden1, a.hidden1);
      fc2.forward(a.hidden1, a.tape, a.hidden2);
      lora::relu(a.hidden2, a.hidden2);
    } else {
      fc1.forward(x, a.hidden1);
      lora::relu(a.hidden1, a.hidden1);
      fc2.forward(a.hidden1, a.hidden2);
      lora::relu(a.hidden2, a.hidden2);
    }
    head.forward(a.hidden2, a.tape, a.logits);
  }

  /// Adds the gradients of whatever is trained, from a.dlogits. Frozen layers at the bottom cost
  /// nothing here, and fc1 never computes the gradient of the images.
  void backward(lora::ConstMatrixRef<T> x, Activations<T>& a) {
    if constexpr (hidden_trains) {
      head.backward(a.hidden2, a.dlogits, a.tape, a.dhidden2);
      lora::relu_backward(a.hidden2, a.dhidden2, a.dhidden2);
      fc2.backward(a.hidden1, a.dhidden2, a.tape, a.dhidden1);
      lora::relu_backward(a.hidden1, a.dhidden1, a.dhidden1);
      fc1.backward(x, a.dhidden1, a.tape);
    } else {
      head.backward(a.hidden2, a.dlogits, a.tape);
    }
  }

  /// Lists what is trained.
  [[nodiscard]] lora::ParameterList<T> parameters() {
    if constexpr (hidden_trains)
      return lora::parameters_of<T>(fc1, fc2, head);
    else
      return lora::parameters_of<T>(head);
  }

  /// Returns the number of scalars of all layers, trained or not.
  [[nodiscard]] Index total_parameters() const {
    return fc1.total_parameters() + fc2.total_parameters() + head.total_parameters();
  }

  Hidden fc1, fc2;
  lora::Linear<T> head;
};

}  // namespace digits
