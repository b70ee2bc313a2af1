#pragma once

#include <memory>
#include <span>
#include <string>

#include "lora/core/elementwise.hpp"
#include "lora/core/gradients.hpp"
#include "lora/core/tape.hpp"
#include "lora/models/common/model_builder.hpp"
#include "lora/models/common/model_parameters.hpp"
#include "lora/nn/dropout.hpp"
#include "lora/nn/embedding.hpp"

namespace lora::models {

/// The positions of a decoder that has learned an embedding (P, D) of each: y = drop(x + p). A
/// table that does not train stays in the files' pages where its numbers are of type T.
template <class T>
class LearnedPositions {
 public:
  /// Loads the table called `name`. Throws FileError, and ConfigError for what is not built.
  LearnedPositions(ModelBuilder<T>& builder, const std::string& name, Index positions,
                   Index features, double dropout)
      : dropout_(dropout, builder.next_seed()) {
    const std::string weight = name + ".weight";
    if (builder.plan[name].role == ModuleRole::trained)
      table_ = Parameter<T>(weight, builder.weights.copy(weight, positions, features));
    else
      std::construct_at(&frozen_, builder.weights.matrix(weight, positions, features));
  }

  /// Returns the columns of rotary angles: none.
  [[nodiscard]] Index angle_features() const { return 0; }
  void angles(std::span<const int>, MatrixRef<T>) const {}

  /// Tells whether the table trains.
  [[nodiscard]] bool trains() const { return table_.size() > 0; }

  /// Adds the positions' embeddings to x (N, D); they are below P. With a tape with dropout, which
  /// is noted there only where `keeps`, because a backward is to come.
  void forward(std::span<const int> positions, Tape<T>* tape, bool keeps, MatrixRef<T> x) const {
    const ConstMatrixRef<T> table = trains() ? ConstMatrixRef<T>(table_.value) : frozen_;
    for_each_row(x.rows(), x.cols(), 16, [&](Index row) {
      x.row(row) += table.row(positions[static_cast<std::size_t>(row)]);
    });
    if (tape == nullptr || dropout_.p() == 0) return;
    dropout_.forward(x, *tape, x);
    if (!keeps) tape->discard();
  }

  /// Computes the gradient of x in place of d (N, D), after a forward that kept, and adds to the
  /// table's, where it trains.
  void backward(std::span<const int> positions, Tape<T>& tape, GradientTarget<T> target,
                MatrixRef<T> d) const {
    if (dropout_.p() > 0) dropout_.backward(d, tape, d);
    if (trains()) embedding_backward<T>(positions, d, target.of(table_));
  }

  /// Adds what trains.
  void list(ModelParameters<T>& list) {
    list.total += table_.size() + frozen_.size();
    if (trains()) list.add(table_);
  }

 private:
  Dropout<T> dropout_;
  Parameter<T> table_;                          // if it trains,
  ConstMatrixRef<T> frozen_{nullptr, 0, 0, 0};  // or lies in the files
};

}  // namespace lora::models
