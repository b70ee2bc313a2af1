#pragma once

#include <cmath>
#include <cstdint>
#include <lora/layers/lora_linear.hpp>
#include <random>
#include <utility>

#include "rank_cases.hpp"

namespace lora::bench {

/// Fills a (rows, cols) matrix with numbers uniform on about (-limit, limit): nothing that a
/// product could skip, and quick, for W has up to 16 million elements.
[[nodiscard]] inline Matrix<float> filled(Index rows, Index cols, float limit) {
  std::minstd_rand generator(1);
  Matrix<float> matrix(rows, cols);
  const float scale = 2 * limit / static_cast<float>(std::minstd_rand::max());
  for (float& value : matrix.reshaped()) value = static_cast<float>(generator()) * scale - limit;
  return matrix;
}

/// Holds a row's layer with its input and output, sized and warm, so that what is timed is the
/// arithmetic: single precision, no bias.
class LayerUnderTest {
 public:
  explicit LayerUnderTest(const Row& row)
      : row_(row),
        layer_(DenseWeight<float>(filled(row.width, row.width, weight_limit(row))),
               {.rank = row.rank.value_or(1), .dropout = row.what == Case::train_dropout ? 0.1 : 0},
               1),
        x_(filled(row.tokens, row.width, 1)),
        dy_(filled(row.tokens, row.width, 1)),
        frozen_y_(row.tokens, row.width) {
    layer_.lora_B().value = filled(row.width, layer_.rank(), weight_limit(row));
    if (row.what == Case::merged) layer_.merge(MergeMode::permanent);
    run_frozen();
    run_case();
  }

  /// Computes the frozen product of the same shape, with the same W.
  void run_frozen() {
    frozen_y_.setZero();
    layer_.weight().add_product(x_, frozen_y_);
  }

  /// Computes what the row is about. Gradients go on accumulating, as over small batches.
  void run_case() {
    switch (row_.what) {
      case Case::frozen:
        return run_frozen();
      case Case::merged:
      case Case::forward:
        return layer_.forward(x_, y_);
      case Case::train:
      case Case::train_dropout:
        layer_.forward(x_, tape_, y_);
        return layer_.backward(x_, dy_, tape_, dx_);
    }
  }

 private:
  static float weight_limit(const Row& row) { return 1 / std::sqrt(static_cast<float>(row.width)); }

  Row row_;
  LoRALinear<float> layer_;
  Matrix<float> x_;         // (tokens, width)
  Matrix<float> dy_;        // (tokens, width)
  Matrix<float> frozen_y_;  // (tokens, width)
  Matrix<float> y_;
  Matrix<float> dx_;
  Tape<float> tape_;
};

}  // namespace lora::bench
