#pragma once

#include <array>
#include <string>

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
  /// What backward needs of one forward.
  struct Kept {
    Matrix<T> input;  // (N, D)
    Matrix<T> inner;  // (N, M), before gelu

    [[nodiscard]] Index size() const { return input.size() + inner.size(); }
  };
  using Buffers = std::array<Matrix<T>, 3>;

  /// Makes the adapter called `name` for h of `features` columns, `width` in between.
  Bottleneck(ModelBuilder<T>& builder, const std::string& name, Index features, Index width)
      : down_(start(builder, name + ".down", width, features)),
        up_(start(builder, name + ".up", features, width)) {}

  /// Changes h in place; with a tape keeps what backward needs, there and in `kept`.
  void forward(Matrix<T>& h, Tape<T>* tape, Kept& kept, Buffers& buffers) const {
    if (tape == nullptr) {
      down_.forward(h, kept.inner);
    } else {
      kept.input = h;
      down_.forward(kept.input, *tape, kept.inner);
    }
    gelu<T>(kept.inner, buffers[0]);
    tape == nullptr ? up_.forward(buffers[0], buffers[1])
                    : up_.forward(buffers[0], *tape, buffers[1]);
    h += buffers[1];
  }

  /// Computes the gradient of the forward's h in place of dh (N, D).
  void backward(const Kept& kept, Tape<T>& tape, Matrix<T>& dh, Buffers& buffers) {
    gelu<T>(kept.inner, buffers[0]);
    up_.backward(buffers[0], dh, tape, buffers[2]);
    gelu_backward<T>(kept.inner, buffers[2], buffers[2]);
    down_.backward(kept.input, buffers[2], tape, buffers[1]);
    dh += buffers[1];
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
    const std::uint64_t seed = builder.next_seed();
    Linear<T> layer(out, in, seed);
    gaussian<T>(layer.weight().value, Random(seed, RandomStream::initialisation), 1e-3);
    layer.bias().value.setZero();
    layer.set_name(name);
    return layer;
  }

  Linear<T> down_;
  Linear<T> up_;
};

}  // namespace lora::models
