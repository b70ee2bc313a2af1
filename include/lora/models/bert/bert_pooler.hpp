#pragma once

#include "lora/core/scratch.hpp"
#include "lora/models/bert/bert_source.hpp"
#include "lora/models/common/module_linear.hpp"
#include "lora/nn/first_token_pooling.hpp"
#include "lora/nn/tanh.hpp"

namespace lora::models {

/// BERT's pooler: tanh of a linear layer of each text's first hidden state.
template <class T, class Frozen>
class BertPooler {
 public:
  /// Loads the pooler of the files, or makes a new one where it trains as a whole and they have
  /// none. Throws FileError and ConfigError.
  BertPooler(ModelBuilder<T>& builder, const BertSource<T>& source)
      : dense_(builder, source.pooler(),
               LinearSizes{.out = source.config.hidden_size,
                           .in = source.config.hidden_size,
                           .may_be_new = true}) {
    ModelParameters<T> parameters;
    dense_.list(parameters);
    trains_ = !parameters.trained.empty();
  }

  /// Tells whether something in it trains.
  [[nodiscard]] bool trains() const { return trains_; }

  /// Takes the first rows (B, D) of the texts from their hidden states and computes what is pooled,
  /// (B, D); with a tape it keeps what backward needs.
  void forward(ConstMatrixRef<T> hidden, const Sequences& sequences, Tape<T>* tape,
               MatrixRef<T> first, MatrixRef<T> pooled,
               const AdapterRoutes* routes = nullptr) const {
    first_token_pooling<T>(hidden, sequences, first);
    dense_.forward(first, tape, pooled, routes);
    tanh_activation<T>(pooled, pooled);
  }

  /// Adds to the gradients of what trains. `first` and `pooled` are forward's; dpooled is written
  /// over.
  void backward(ConstMatrixRef<T> first, ConstMatrixRef<T> pooled, MatrixRef<T> dpooled,
                Tape<T>& tape, GradientTarget<T> target) const {
    tanh_activation_backward<T>(pooled, dpooled, dpooled);
    dense_.backward(first, dpooled, tape, target);
  }

  /// Does the same and computes the gradient of the hidden states.
  void backward(ConstMatrixRef<T> first, ConstMatrixRef<T> pooled, MatrixRef<T> dpooled,
                Tape<T>& tape, GradientTarget<T> target, const Sequences& sequences,
                MatrixRef<T> dhidden) const {
    Scratch scratch;
    tanh_activation_backward<T>(pooled, dpooled, dpooled);
    const MatrixRef<T> dfirst = scratch.matrix<T>(first.rows(), first.cols());
    dense_.backward(first, dpooled, tape, target, dfirst);
    first_token_pooling_backward<T>(dfirst, sequences, dhidden);
  }

  /// Calls action(layer) with the LoRALinear, if it has an adapter.
  template <class Action>
  void for_each_adapted(const Action& action) {
    dense_.for_each_adapted(action);
  }

  /// Adds what trains.
  void list(ModelParameters<T>& list) { dense_.list(list); }

 private:
  ModuleLinear<T, Frozen> dense_;
  bool trains_ = false;
};

}  // namespace lora::models
