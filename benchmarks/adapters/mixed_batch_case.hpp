#pragma once

#include <cstdint>
#include <lora/core/matrix.hpp>
#include <lora/frozen/packed_weight.hpp>
#include <lora/layers/adapter_routes.hpp>
#include <lora/layers/lora_linear.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "../layer_under_test.hpp"
#include "../seconds.hpp"

namespace lora::bench {

/// One layer with many adapters, and a batch for which they are routed in turns: row i goes to
/// adapter i modulo their number, so that the rows of one are never neighbours.
class MixedBatchCase {
 public:
  /// Makes a layer (size, size) with `adapters` adapters of `rank`.
  MixedBatchCase(Index size, Index rank, int adapters, Index rows)
      : layer_(PackedWeight<float>(filled(size, size, 0.03F))),
        x_(filled(rows, size, 1)),
        dy_(filled(rows, size, 1)) {
    for (int i = 0; i < adapters; ++i) {
      LoRAAdapter<float> adapter(size, size, {.rank = rank, .alpha = 16},
                                 static_cast<std::uint64_t>(i));
      adapter.b().value = filled(size, rank, 0.03F);
      names_.push_back("adapter" + std::to_string(i));
      layer_.add_adapter(names_.back(), std::move(adapter));
    }
    gradients_.emplace(layer_.parameters(names_));
  }

  /// Routes the batch to the first `count` adapters; 0: no routes, the active adapter for all rows.
  void route(int count) {
    routed_ = count > 0;
    std::vector<std::string> rows;
    for (Index i = 0; i < x_.rows() && routed_; ++i)
      rows.push_back(names_[static_cast<std::size_t>(i % count)]);
    routes_.assign(rows);
  }

  /// Returns the seconds of one evaluation.
  [[nodiscard]] double evaluate() {
    return seconds([&] { routed_ ? layer_.forward(x_, routes_, y_) : layer_.forward(x_, y_); });
  }

  /// Returns the seconds of a forward and backward, for all gradients.
  [[nodiscard]] double train() {
    return seconds([&] {
      routed_ ? layer_.forward(x_, routes_, tape_, y_) : layer_.forward(x_, tape_, y_);
      std::as_const(layer_).backward(x_, dy_, tape_, *gradients_, dx_);
    });
  }

 private:
  LoRALinear<float, PackedWeight<float>> layer_;
  std::vector<std::string> names_;
  AdapterRoutes routes_;
  bool routed_ = false;
  Matrix<float> x_, dy_, y_, dx_;
  Tape<float> tape_;
  std::optional<Gradients<float>> gradients_;
};

}  // namespace lora::bench
