#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lora/frozen/packed_weight.hpp"
#include "lora/models/common/adapted_model.hpp"
#include "lora/models/common/image_batch.hpp"
#include "lora/models/common/image_tape.hpp"
#include "lora/models/common/module_linear.hpp"
#include "lora/models/common/text_routes.hpp"
#include "lora/models/resnet/resnet_block.hpp"
#include "lora/models/resnet/resnet_files.hpp"
#include "lora/models/resnet/resnet_source.hpp"
#include "lora/nn/pixel_mean.hpp"

namespace lora::models {

/// A ResNet that labels images (He et al., 2016; transformers' ResNetForImageClassification),
/// loaded from a directory of safetensors with the names of transformers, torchvision or timm.
/// `Frozen` stores the kernels that do not train.
///
/// The statistics of its batch norms stay as the files have them, in training too, unless
/// options.batch_statistics says otherwise: PEFT lets them move, stores none of it, and its
/// adapters give other numbers when they are loaded again.
///
/// Logits are (images, labels). Const calls may come from several threads at once, each with a tape
/// and Gradients of its own where they take them; a second call of the same shapes allocates
/// nothing.
template <class T, class Frozen = PackedWeight<T>>
class ResNetClassifier : public AdaptedModel<T, ResNetClassifier<T, Frozen>, ResNetConfig> {
  using Base = AdaptedModel<T, ResNetClassifier<T, Frozen>, ResNetConfig>;

 public:
  using FrozenStorage = Frozen;

  /// Loads the model. A head that trains as a whole and that the files do not have, or have for
  /// another number of labels than options.labels, or that options.new_head wants, is drawn from
  /// options.seed: normal numbers of initializer_range, no bias. Throws FileError for whatever is
  /// wrong with the files, ConfigError for options that do not fit the model.
  explicit ResNetClassifier(const std::filesystem::path& directory,
                            const ResNetOptions& options = {})
      : ResNetClassifier(ResNetSource<T>(directory, options), options) {}

  [[nodiscard]] Index labels() const { return this->config().num_labels; }

  /// Computes the logits without dropout. Throws ShapeError for images of other channels, or too
  /// small for the network.
  void forward(const ImageBatch<T>& batch, Output<T> logits) const {
    check(batch, logits);
    run_forward(batch.pixels, batch.size, nullptr, logits, nullptr);
  }

  /// Computes a mixed batch: each image with the adapter that `routes` name for it, or none. They
  /// must be bound (AdapterRegistry::bind), so that all layers have the adapters of one moment.
  /// Throws StateError if they are not, ShapeError unless they are of as many images, and as above.
  void forward(const ImageBatch<T>& batch, const AdapterRoutes& routes, Output<T> logits) const {
    check(batch, routes, logits);
    run_forward(batch.pixels, batch.size, nullptr, logits, &routes);
  }

  /// Computes the same with dropout, and keeps on the tape what backward needs; of the pixels a
  /// copy, where the stem trains.
  void forward(const ImageBatch<T>& batch, ImageTape<T>& tape, Output<T> logits) const {
    check(batch, logits);
    run_training(batch, tape, logits, nullptr);
  }

  /// Does the same of a mixed batch: backward adds to the gradients of every adapter that images
  /// are routed to, which AdapterRegistry::parameters lists, and of what trains as a whole, which
  /// all images share. Throws StateError under batch_statistics too: the statistics of an image's
  /// norms would depend on the images of other adapters.
  void forward(const ImageBatch<T>& batch, const AdapterRoutes& routes, ImageTape<T>& tape,
               Output<T> logits) const {
    check(batch, routes, logits);
    if (batch_statistics_)
      throw StateError(
          "ResNetClassifier::forward: under batch_statistics the images of one adapter would "
          "change what those of another compute: train without mixed batches");
    run_training(batch, tape, logits, &routes);
  }

  /// Adds to the gradients of all that trains, from dlogits, and under batch_statistics moves the
  /// norms' statistics. Throws ShapeError, and StateError without a forward, before anything
  /// changes.
  void backward(ConstMatrixRef<T> dlogits, ImageTape<T>& tape) {
    check_backward(dlogits, tape);
    if (batch_statistics_) {
      stem_.move_statistics(tape.frames);
      for (auto& block : blocks_) block.move_statistics(tape.frames);
    }
    run_backward(dlogits, tape, GradientTarget<T>::own());
  }

  /// Does the same, but adds to `gradients`, made from parameters(): what threads that train one
  /// model call, each with a tape and gradients of its own. Throws StateError under
  /// batch_statistics too: they belong to the model, and one thread at a time can move them.
  void backward(ConstMatrixRef<T> dlogits, ImageTape<T>& tape, Gradients<T>& gradients) const {
    if (batch_statistics_)
      throw StateError(
          "ResNetClassifier::backward: under batch_statistics the model itself changes: call "
          "backward(dlogits, tape)");
    check_backward(dlogits, tape);
    run_backward(dlogits, tape, gradients);
  }

  /// Saves the whole model as transformers does, config.json and model.safetensors, with the
  /// adapters in use merged: what is loaded from there computes what this model does now. Nobody
  /// may replace an adapter meanwhile. Throws FileError.
  void save_model(const std::filesystem::path& directory) {
    std::vector<io::Tensor> tensors;
    stem_.add_tensors(tensors);
    for (auto& block : blocks_) block.add_tensors(tensors);
    head_.add_tensors(tensors);
    write_resnet_files(directory, config_text_, std::move(tensors));
  }

  /// Computes the features y (images, channels) that the head reads, without dropout.
  void embed(const ImageBatch<T>& batch, Output<T> y) const {
    const Place where{"ResNetClassifier::embed", {}};
    require_pixels<T>(batch.pixels, batch.size, this->config().num_channels, where, "pixels");
    Scratch scratch;
    ImageShape shape;
    const MatrixRef<T> last = body(batch.pixels, batch.size, nullptr, scratch, shape, nullptr);
    pixel_mean<T>(last, shape, y);
  }

  /// Calls action(layer) with each LoRAConv2d or LoRALinear that has an adapter.
  template <class Action>
  void for_each_adapted(const Action& action) {
    stem_.for_each_adapted(action);
    for (auto& block : blocks_) block.for_each_adapted(action);
    head_.for_each_adapted(action);
  }

  /// Adds what trains; see AdaptedModel.
  void list(ModelParameters<T>& list) {
    stem_.list(list);
    for (auto& block : blocks_) block.list(list);
    head_.list(list);
  }

 private:
  ResNetClassifier(const ResNetSource<T>& source, const ResNetOptions& options)
      : ResNetClassifier(source, builder(source, options), options) {}

  static ModelBuilder<T> builder(const ResNetSource<T>& source, const ResNetOptions& options) {
    ModelBuilder<T> parts = source.builder(options.seed);
    parts.batch_statistics = options.batch_statistics;
    return parts;
  }

  ResNetClassifier(const ResNetSource<T>& source, ModelBuilder<T> builder,
                   const ResNetOptions& options)
      : Base(source),
        batch_statistics_(options.batch_statistics),
        config_text_(source.config_text),
        stem_(builder, ResNetNames(source.config.naming).stem(), stem_sizes(source.config)),
        blocks_(make_blocks(builder, source.config)),
        head_(builder, ResNetNames(source.config.naming).head(),
              {.out = source.config.num_labels,
               .in = source.config.hidden_sizes.back(),
               .may_be_new = true,
               .may_be_other = options.labels.has_value(),
               .is_new = options.new_head}) {
    // The parts that keep anything: 0 is the stem, i + 1 block i.
    const auto trains = [](auto& part) {
      ModelParameters<T> parameters;
      part.list(parameters);
      return !parameters.trained.empty();
    };
    first_ = blocks_.size() + 1;
    for (std::size_t i = blocks_.size(); i-- > 0;)
      if (trains(blocks_[i])) first_ = i + 1;
    if (trains(stem_)) first_ = 0;
    this->finish_loading();
  }

  static std::vector<ResNetBlock<T, Frozen>> make_blocks(ModelBuilder<T>& builder,
                                                         const ResNetConfig& config) {
    const ResNetNames names(config.naming);
    std::vector<ResNetBlock<T, Frozen>> blocks;
    for (std::size_t stage = 0; stage < config.depths.size(); ++stage)
      for (Index i = 0; i < config.depths[stage]; ++i)
        blocks.emplace_back(builder, names, names.block(stage, i),
                            ResNetBlockSizes(config, stage, i));
    return blocks;
  }

  static Window pooling() { return Window::square(3, 2, 1); }
  [[nodiscard]] bool pools() const { return this->config().stem == ResNetStem::imagenet; }

  void check(const ImageBatch<T>& batch, const Output<T>& logits) const {
    const Place where{"ResNetClassifier::forward", {}};
    require_pixels<T>(batch.pixels, batch.size, this->config().num_channels, where, "pixels");
    logits.check(batch.size.images, labels(), where, "logits", {batch.pixels});
  }

  void check(const ImageBatch<T>& batch, const AdapterRoutes& routes,
             const Output<T>& logits) const {
    require_routes(routes, batch.size.images, "images", "ResNetClassifier::forward");
    check(batch, logits);
  }

  // `routes` is null or points to AdapterRoutes, here and below; see ModuleConvNorm.
  template <class Routes>
  void run_training(const ImageBatch<T>& batch, ImageTape<T>& tape, const Output<T>& logits,
                    Routes routes) const {
    tape.clear();
    tape.batch.size = batch.size;
    if (first_ == 0) tape.batch.pixels = batch.pixels;
    run_forward(first_ == 0 ? tape.batch.pixels : batch.pixels, batch.size, &tape, logits, routes);
  }

  // Computes the last block's output, of size `shape`. On the tape lies, in one frame, the input of
  // each block from the first that trains on, and the last output; the head's input comes after.
  template <class Routes>
  MatrixRef<T> body(ConstMatrixRef<T> pixels, const ImageShape& in, ImageTape<T>* tape,
                    Scratch& scratch, ImageShape& shape, Routes routes) const {
    typename Tape<T>::Frame* frame = nullptr;
    if (tape != nullptr) {
      tape->frames.begin_pass();
      frame = &tape->frames.push(this, "ResNetClassifier", in.images);
    }
    // Two places in turn for what is not kept: as large as the largest that comes.
    std::array<T*, 2> turns{};
    if (frame == nullptr || first_ > 1)
      for (T*& turn : turns) turn = scratch.take<T>(largest(in));
    std::size_t part = 0;
    const auto place = [&](const ImageShape& size, Index channels) {
      if (frame != nullptr && part >= lowest() && body_trains())
        return frame->keep(size.rows(), channels);
      return MatrixRef<T>(turns[part % 2], size.rows(), channels, channels);
    };
    Tape<T>* const stem_tape = first_ == 0 && tape != nullptr ? &tape->frames : nullptr;
    shape = stem_.output_shape(in);
    std::optional<MatrixRef<T>> x;
    {
      Scratch inner;
      const Index channels = stem_.out_channels();
      const ImageShape pooled =
          pools() ? output_shape(pooling(), shape, "ResNetClassifier::forward") : shape;
      x.emplace(place(pooled, channels));
      const MatrixRef<T> result = pools() ? inner.matrix<T>(shape.rows(), channels) : *x;
      stem_.forward(pixels, in, stem_tape, result, routes);
      relu<T>(result, result);
      if (pools() && stem_tape != nullptr)
        max_pooling<T>(result, shape, pooling(), *x, tape->choice);
      else if (pools())
        max_pooling<T>(result, shape, pooling(), *x);
      shape = pooled;
    }
    for (std::size_t i = 0; i < blocks_.size(); ++i) {
      part = i + 1;
      const ImageShape out = blocks_[i].output_shape(shape);
      const MatrixRef<T> y = place(out, blocks_[i].out_channels());
      blocks_[i].forward(*x, shape, tape != nullptr && first_ <= i + 1 ? &tape->frames : nullptr, y,
                         routes);
      x.emplace(y);
      shape = out;
    }
    return *x;
  }

  // The scalars of the largest block's input or output.
  [[nodiscard]] Index largest(const ImageShape& in) const {
    ImageShape shape = stem_.output_shape(in);
    if (pools()) shape = output_shape(pooling(), shape, "ResNetClassifier::forward");
    Index most = shape.rows() * stem_.out_channels();
    for (const auto& block : blocks_) {
      shape = block.output_shape(shape);
      most = std::max(most, shape.rows() * block.out_channels());
    }
    return most;
  }

  template <class Routes>
  void run_forward(ConstMatrixRef<T> pixels, const ImageShape& in, ImageTape<T>* tape,
                   Output<T> logits, Routes routes) const {
    Scratch scratch;
    ImageShape shape;
    const MatrixRef<T> last = body(pixels, in, tape, scratch, shape, routes);
    auto* const frame =
        tape == nullptr ? nullptr : &tape->frames.find(this, "ResNetClassifier::forward");
    const MatrixRef<T> mean = frame == nullptr ? scratch.matrix<T>(in.images, last.cols())
                                               : frame->keep(in.images, last.cols());
    pixel_mean<T>(last, shape, mean);
    head_.forward(mean, tape == nullptr ? nullptr : &tape->frames, logits, routes);
  }

  // The sizes of the inputs of all blocks, and of the last output.
  [[nodiscard]] ImageShape input_shape(std::size_t block, const ImageShape& in) const {
    ImageShape shape = stem_.output_shape(in);
    if (pools()) shape = output_shape(pooling(), shape, "ResNetClassifier::backward");
    for (std::size_t i = 0; i < block; ++i) shape = blocks_[i].output_shape(shape);
    return shape;
  }

  void check_backward(const ConstMatrixRef<T>& dlogits, ImageTape<T>& tape) const {
    const Place where{"ResNetClassifier::backward", {}};
    static_cast<void>(tape.frames.find(this, where));
    require_shape(dlogits, tape.batch.size.images, labels(), where, "dlogits", "images", "labels");
  }

  void run_backward(ConstMatrixRef<T> dlogits, ImageTape<T>& tape, GradientTarget<T> target) const {
    const Place where{"ResNetClassifier::backward", {}};
    Tape<T>& frames = tape.frames;
    const ImageShape& in = tape.batch.size;
    auto& frame = frames.find(this, where);
    const MatrixRef<T> mean = frame.kept(kept_by_body());
    Scratch scratch;
    const MatrixRef<T> dmean = scratch.matrix<T>(body_trains() ? in.images : 0, mean.cols());
    if (body_trains())
      head_.backward(mean, dlogits, frames, target, dmean);
    else
      head_.backward(mean, dlogits, frames, target);
    if (body_trains()) body_backward(frame, tape, target, dmean);
    static_cast<void>(frames.top(this, in.images, where));
    frames.pop();
  }

  [[nodiscard]] bool body_trains() const { return first_ <= blocks_.size(); }

  // The lowest block whose input is kept.
  [[nodiscard]] std::size_t lowest() const { return std::max<std::size_t>(first_, 1) - 1; }

  [[nodiscard]] std::size_t kept_by_body() const {
    return body_trains() ? blocks_.size() - lowest() + 1 : 0;
  }

  void body_backward(typename Tape<T>::Frame& frame, ImageTape<T>& tape, GradientTarget<T> target,
                     ConstMatrixRef<T> dmean) const {
    const ImageShape& in = tape.batch.size;
    Scratch scratch;
    const Index size = largest(in);
    std::array<T*, 2> turns{scratch.take<T>(size), scratch.take<T>(size)};
    ImageShape shape = input_shape(blocks_.size(), in);
    std::optional<MatrixRef<T>> dy;
    dy.emplace(turns[0], shape.rows(), dmean.cols(), dmean.cols());
    pixel_mean_backward<T>(dmean, shape, *dy);
    const MatrixRef<T> last = frame.kept(blocks_.size() - lowest());
    relu_backward<T>(last, *dy, *dy);
    for (std::size_t i = blocks_.size(); i-- > lowest();) {
      const MatrixRef<T> x = frame.kept(i - lowest());
      const ImageShape input = input_shape(i, in);
      T* const other = dy->data() == turns[0] ? turns[1] : turns[0];
      const MatrixRef<T> dx(other, x.rows(), x.cols(), x.cols());
      const bool wanted = i > lowest() || first_ == 0;
      blocks_[i].backward(x, input, *dy, tape.frames, target, wanted ? &dx : nullptr);
      dy.emplace(dx);
    }
    if (first_ > 0) return;
    // Where the pooled element is positive so was the stem's, which was not kept: its relu is done.
    const ImageShape stem = stem_.output_shape(in);
    MatrixRef<T> dstem =
        scratch.matrix<T>(pools() ? stem.rows() : 0, pools() ? stem_.out_channels() : 0);
    if (pools()) max_pooling_backward<T>(*dy, tape.choice, stem, pooling(), dstem);
    stem_.backward(tape.batch.pixels, in, pools() ? dstem : *dy, tape.frames, target, nullptr);
  }

  bool batch_statistics_;
  std::string config_text_;  // of save_model
  ModuleConvNorm<T, Frozen> stem_;
  std::vector<ResNetBlock<T, Frozen>> blocks_;
  ModuleLinear<T, Frozen> head_;
  std::size_t first_ = 0;  // the first part that trains: 0 the stem, i + 1 block i, then the head
};

}  // namespace lora::models
