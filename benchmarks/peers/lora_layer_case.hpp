#pragma once

#include <lora/frozen/frozen_weight.hpp>
#include <lora/layers/lora_linear.hpp>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "protocol.hpp"
#include "raw_file.hpp"

namespace lora::bench {

/// Reads a (rows, cols) matrix from `file`. Throws std::runtime_error.
[[nodiscard]] inline Matrix<float> read_matrix(const std::string& file, Index rows, Index cols) {
  Matrix<float> matrix(rows, cols);
  read_floats(file, matrix.data(), static_cast<std::size_t>(matrix.size()));
  return matrix;
}

/// Writes `matrix` into `file`. Throws std::runtime_error.
inline void write_matrix(const std::string& file, const Matrix<float>& matrix) {
  write_floats(file, matrix.data(), static_cast<std::size_t>(matrix.size()));
}

/// Describes a layer that all sides hold; its numbers lie in files of the folder.
struct LayerShape {
  Index tokens = 1;
  Index in = 1;
  Index out = 1;
  Index rank = 1;
  std::string folder;
};

/// Holds one LoRALinear over the frozen storage `Frozen`, for every operation that is compared:
///
///     forward, forward_off   inference with the adapter and with it switched off
///     train                  gradients to zero, forward, backward with dx
///     product, frozen_step   y = x W^T of the frozen weight alone; and dx = dy W after it
///     merge, merge_kept      W += s B A; merge_kept keeps a copy of W for unmerge
template <class Frozen>
class LoRALayerCase {
 public:
  explicit LoRALayerCase(const LayerShape& shape)
      : shape_(shape),
        x_(read_matrix(shape.folder + "/x.f32", shape.tokens, shape.in)),
        dy_(read_matrix(shape.folder + "/dy.f32", shape.tokens, shape.out)) {
    make_layer();
  }

  /// Returns the calls of `operation`. Throws std::runtime_error for one that there is not.
  [[nodiscard]] Work work(const std::string& operation) {
    const auto ready = [this] { restore(); };
    if (operation == "forward") return {ready, [this] { layer_->forward(x_, y_); }};
    if (operation == "forward_off")
      return {[this] {
                restore();
                layer_->disable_adapter();
              },
              [this] { layer_->forward(x_, y_); }};
    if (operation == "train") return {ready, [this] { train(); }};
    if (operation == "product") return {ready, [this] { product(); }};
    if (operation == "frozen_step")
      return {ready, [this] {
                product();
                transposed_product();
              }};
    if constexpr (MergeableWeight<Frozen, float>) {
      if (operation == "merge")
        return {ready, [this] {
                  layer_->merge(MergeMode::permanent);
                  merged_for_good_ = true;
                }};
      if (operation == "merge_kept") return {ready, [this] { layer_->merge(); }};
    }
    throw std::runtime_error("no operation " + operation + " for this frozen weight");
  }

  /// Writes what `operation` computed last. Throws std::runtime_error.
  void write(const std::string& operation, const std::string& folder) {
    if (operation == "merge" || operation == "merge_kept") {
      write_matrix(folder + "/w.f32", layer_->weight().dense());
      return;
    }
    write_matrix(folder + "/y.f32", y_);
    if (operation == "train" || operation == "frozen_step") write_matrix(folder + "/dx.f32", dx_);
    if (operation != "train") return;
    write_matrix(folder + "/da.f32", layer_->lora_A().grad);
    write_matrix(folder + "/db.f32", layer_->lora_B().grad);
  }

 private:
  void make_layer() {
    layer_.reset();
    merged_for_good_ = false;
    layer_ = std::make_unique<LoRALinear<float, Frozen>>(
        Frozen(read_matrix(shape_.folder + "/w.f32", shape_.out, shape_.in)),
        LoRAConfig{.rank = shape_.rank}, 1);
    layer_->lora_A().value = read_matrix(shape_.folder + "/a.f32", shape_.rank, shape_.in);
    layer_->lora_B().value = read_matrix(shape_.folder + "/b.f32", shape_.out, shape_.rank);
  }

  // Brings the layer back to where every call starts from.
  void restore() {
    if (merged_for_good_)
      make_layer();
    else if constexpr (MergeableWeight<Frozen, float>)
      if (layer_->merged()) layer_->unmerge();
    layer_->enable_adapter();
  }

  void train() {
    zero_grad(layer_->parameters());
    layer_->forward(x_, tape_, y_);
    layer_->backward(x_, dy_, tape_, dx_);
  }

  void product() {
    y_.resize(shape_.tokens, shape_.out);
    y_.setZero();
    layer_->weight().add_product(x_, y_);
  }

  void transposed_product() {
    dx_.resize(shape_.tokens, shape_.in);
    dx_.setZero();
    layer_->weight().add_transposed_product(dy_, dx_);
  }

  LayerShape shape_;
  Matrix<float> x_;   // (tokens, in)
  Matrix<float> dy_;  // (tokens, out)
  Matrix<float> y_;   // (tokens, out)
  Matrix<float> dx_;  // (tokens, in)
  Tape<float> tape_;
  std::unique_ptr<LoRALinear<float, Frozen>> layer_;
  bool merged_for_good_ = false;
};

}  // namespace lora::bench
