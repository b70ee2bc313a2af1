#pragma once

#include <string>
#include <utility>

#include "lora/core/scratch.hpp"
#include "lora/init/gaussian.hpp"
#include "lora/models/common/model_builder.hpp"
#include "lora/models/common/model_parameters.hpp"
#include "lora/nn/gelu.hpp"
#include "lora/nn/linear.hpp"

namespace lora::models {

/// A bottleneck adapter (Houlsby et al., 2019): h += up(gelu(down(h))), h (N, D), with a width of M
/// features in between. It starts close to the identity, as there: normal weights of standard
/// deviation 0.001 and no biases.
template <class T>
class Bottleneck {
 public:
  /// Makes the adapter called `name` for h of `features` columns, `width` in between.
  Bottleneck(ModelBuilder<T>& builder, const std::string& name, Index features, Index width)
      : name_(name),
        down_(start(builder, name + ".down", width, features)),
        up_(start(builder, name + ".up", features, width)) {}

  /// Changes h (N, D) in place; with a tape keeps what backward needs.
  void forward(MatrixRef<T> h, Tape<T>* tape) const {
    const Index n = h.rows(), width = down_.out_features();
    Scratch scratch;
    const MatrixRef<T> active = scratch.matrix<T>(n, width);
    const MatrixRef<T> change = scratch.matrix<T>(n, h.cols());
    if (tape == nullptr) {
      down_.forward(h, active);
      gelu<T>(active, active);
      up_.forward(active, change);
    } else {
      auto& frame = tape->push(this, name_, n);
      MatrixRef<T> input = frame.keep(n, h.cols());
      const MatrixRef<T> inner = frame.keep(n, width);  // before gelu
      input = h;
      down_.forward(input, *tape, inner);
      gelu<T>(inner, active);
      up_.forward(active, *tape, change);
      tape->newest().allow_copies();
    }
    h += change;
  }

  /// Computes the gradient of the forward's h in place of dh (N, D).
  void backward(Tape<T>& tape, GradientTarget<T> target, MatrixRef<T> dh) const {
    constexpr const char* where = "Bottleneck::backward";
    auto& frame = tape.find(this, where);
    const MatrixRef<T> input = frame.kept(0), inner = frame.kept(1);
    Scratch scratch;
    const MatrixRef<T> active = scratch.matrix<T>(inner.rows(), inner.cols());
    const MatrixRef<T> dinner = scratch.matrix<T>(inner.rows(), inner.cols());
    const MatrixRef<T> through = scratch.matrix<T>(dh.rows(), dh.cols());
    gelu<T>(inner, active);
    up_.backward(active, dh, tape, target, dinner);
    gelu_backward<T>(inner, dinner, dinner);
    down_.backward(input, dinner, tape, target, through);
    dh += through;
    static_cast<void>(tape.top(this, dh.rows(), where));
    tape.pop();
  }

  /// Adds what trains: all of it.
  void list(ModelParameters<T>& list) {
    for (Linear<T>* layer : {&down_, &up_}) {
      list.total += layer->total_parameters();
      for (Parameter<T>* parameter : layer->parameters()) list.add(*parameter);
    }
  }

 private:
  static Linear<T> start(ModelBuilder<T>& builder, const std::string& name, Index out, Index in) {
    Matrix<T> weight(out, in);
    gaussian<T>(weight, Random(builder.next_seed(), RandomStream::initialisation), 1e-3);
    Linear<T> layer(std::move(weight), Vector<T>::Zero(out));
    layer.set_name(name);
    return layer;
  }

  std::string name_;
  Linear<T> down_;
  Linear<T> up_;
};

}  // namespace lora::models
