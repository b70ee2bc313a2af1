#pragma once

#include <span>
#include <string>

#include "lora/core/elementwise.hpp"
#include "lora/core/gradients.hpp"
#include "lora/core/scratch.hpp"
#include "lora/core/tape.hpp"
#include "lora/models/common/model_builder.hpp"
#include "lora/models/common/model_parameters.hpp"
#include "lora/models/common/module_embedding.hpp"
#include "lora/nn/dropout.hpp"

namespace lora::models {

/// The positions of a decoder that has learned an embedding (P, D) of each: y = drop(x + p).
template <class T>
class LearnedPositions {
 public:
  /// Loads the table called `name`. Throws FileError, and ConfigError for what is not built.
  LearnedPositions(ModelBuilder<T>& builder, const std::string& name, Index positions,
                   Index features, double dropout)
      : dropout_(dropout, builder.next_seed()), table_(builder, name, positions, features) {}

  /// Returns the columns of rotary angles: none.
  [[nodiscard]] Index angle_features() const { return 0; }
  void angles(std::span<const int>, MatrixRef<T>) const {}

  /// Tells whether the table trains.
  [[nodiscard]] bool trains() const { return table_.trains(); }

  /// Adds the positions' embeddings to x (N, D); they are below P. With a tape with dropout, which
  /// is noted there only where `keeps`, because a backward is to come. With routes each row with
  /// its adapter.
  void forward(std::span<const int> positions, Tape<T>* tape, bool keeps, MatrixRef<T> x,
               const AdapterRoutes* routes = nullptr) const {
    if (table_.is_adapted()) {
      Scratch scratch;
      const MatrixRef<T> rows = scratch.matrix<T>(x.rows(), x.cols());
      table_.forward(positions, keeps ? tape : nullptr, rows, routes);
      add_to<T>(rows, x);
    } else {
      const ConstMatrixRef<T> table = table_.values();
      for_each_row(x.rows(), x.cols(), 16, [&](Index row) {
        x.row(row) += table.row(positions[static_cast<std::size_t>(row)]);
      });
    }
    if (tape == nullptr || dropout_.p() == 0) return;
    dropout_.forward(x, *tape, x);
    if (!keeps) tape->discard();
  }

  /// Computes the gradient of x in place of d (N, D), after a forward that kept, and adds to the
  /// table's, where it trains. The routes are the forward's.
  void backward(std::span<const int> positions, Tape<T>& tape, GradientTarget<T> target,
                MatrixRef<T> d, const AdapterRoutes* routes = nullptr) const {
    if (dropout_.p() > 0) dropout_.backward(d, tape, d);
    if (trains()) table_.backward(positions, d, tape, target, routes);
  }

  /// Adds what trains.
  void list(ModelParameters<T>& list) { table_.list(list); }

  /// Calls action(layer) with the LoRAEmbedding, if there is one.
  template <class Action>
  void for_each_adapted(const Action& action) {
    table_.for_each_adapted(action);
  }

  /// Calls action(tokens) with the rows that train, if there are some.
  template <class Action>
  void for_each_trainable_tokens(const Action& action) {
    table_.for_each_trainable_tokens(action);
  }

 private:
  Dropout<T> dropout_;
  ModuleEmbedding<T> table_;
};

}  // namespace lora::models
