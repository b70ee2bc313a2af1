#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lora/core/elementwise.hpp"
#include "lora/core/gradients.hpp"
#include "lora/core/image_shape.hpp"
#include "lora/core/matrix.hpp"
#include "lora/core/output.hpp"
#include "lora/core/place.hpp"
#include "lora/core/scratch.hpp"
#include "lora/core/tape.hpp"
#include "lora/frozen/frozen_weight.hpp"
#include "lora/frozen/packed_weight.hpp"
#include "lora/kernels/conv2d_factor_gradient.hpp"
#include "lora/kernels/conv2d_product.hpp"
#include "lora/kernels/grouped_conv2d.hpp"
#include "lora/kernels/image_padding.hpp"
#include "lora/kernels/kernel_order.hpp"
#include "lora/kernels/low_rank_gradients.hpp"
#include "lora/kernels/low_rank_path.hpp"
#include "lora/kernels/window.hpp"
#include "lora/layers/adapter_routes.hpp"
#include "lora/layers/adapter_tensor.hpp"
#include "lora/layers/dora.hpp"
#include "lora/layers/factor_marks.hpp"
#include "lora/layers/lora_over_weight.hpp"
#include "lora/layers/routed_images.hpp"
#include "lora/layers/routed_paths.hpp"
#include "lora/nn/bias_gradient.hpp"
#include "lora/nn/output_affine.hpp"
#include "lora/random/dropout_mask.hpp"

namespace lora {

/// The groups of a convolution, torch.nn.Conv2d's `groups`.
struct Groups {
  Index count = 1;
};

/// A frozen convolution with a set of trainable low-rank updates, of which one is active, or none
/// (PEFT 0.21's lora.Conv2d; Hu et al., "LoRA", 2021):
///
///     y = norm(x * W + b + s (drop(x) * A) B^T)
///
/// Images are matrices, one row a pixel, channels last: x (pixels, in_channels), y (pixels,
/// out_channels). W is (out_channels, in_channels, height, width); A a convolution of the same
/// window to `rank` channels, (rank, in_channels, height, width); B (out_channels, rank, 1, 1).
/// `norm` is an affine map of each channel, a batch norm with frozen statistics, if set_norm gave
/// one. s = alpha / rank or alpha / sqrt(rank), whatever the kernel's size. Dropout takes elements
/// of x, not patches, in training only. B starts at zero. With config.lora_bias B has a bias b_B
/// (out_channels), and s b_B joins b. With DoRA (config.use_dora) the channels of W + s B A, each
/// of in_channels * height * width elements, are scaled to lengths m (1, out_channels, 1, 1) that
/// train too: see dora.
///
/// in_features() is in_channels * height * width, the elements of a patch. A sees the patches that
/// W sees, dilated and padded as the window says, so that merging changes nothing. (PEFT 0.21.2
/// gives A neither. Over a dilation it mostly fails; over a padding_mode other than zeros its A
/// sees zeros outside of the image, so that an adapter from there computes something else here at
/// the border.)
///
/// With Groups (PEFT's too) each group of out_channels / groups outputs sees
/// in_channels / groups channels of x alone: W is (out_channels, in_channels / groups, height,
/// width). A sees them all, and B (out_channels, rank / groups, 1, 1) gives each group rank /
/// groups rows of it, so `rank` is a multiple of the groups. Such an adapter reaches channels that
/// W has no elements for: nothing merges, and there is no DoRA (PEFT 0.21.2 refuses to merge too;
/// its DoRA takes the norms of another matrix).
///
/// Which calls may run at once: see AdapterOwner. Threads that train one layer at the same time
/// have a tape and Gradients each and call the const backward. A second call of the same shapes
/// allocates nothing. Every check comes before the first change.
template <class T, class Frozen = PackedWeight<T>>
requires PanelWeight<Frozen, T>
class LoRAConv2d : public LoRAOverWeight<LoRAConv2d<T, Frozen>, T, Frozen> {
  using Base = LoRAOverWeight<LoRAConv2d, T, Frozen>;

 public:
  using typename Base::Adapter;
  static constexpr const char* kind = "LoRAConv2d";

  /// Wraps a kernel without an adapter: a frozen convolution. `weight` is (out_channels,
  /// in_channels / groups * height * width), its memory that of PyTorch's 4-D tensor; `bias` is
  /// empty or (out_channels). Throws ConfigError for a window out of range and groups that do not
  /// divide out_channels, ShapeError for a weight or a bias that does not fit.
  LoRAConv2d(ConstMatrixRef<T> weight, const Window& window, const Vector<T>& bias = {},
             Groups groups = {})
      : Base(frozen(weight, window, groups.count), bias, groups.count), window_(window) {}

  /// Wraps a kernel with an active adapter called "default", drawn from `seed`. Throws ConfigError
  /// for settings out of range, and as above.
  LoRAConv2d(ConstMatrixRef<T> weight, const Window& window, const LoRAConfig& config,
             std::uint64_t seed, const Vector<T>& bias = {}, Groups groups = {})
      : Base(new_adapter(weight.rows(), groups.count * weight.cols(), window, config, seed,
                         groups.count),
             frozen(weight, window, groups.count), bias, groups.count),
        window_(window) {
    give_file_shapes(this->own_adapter(kind));
  }

  /// Lets y = scale * (what it would be) + shift, each (out_channels): a batch norm that does not
  /// train. Two empty vectors take it away. Throws ShapeError.
  void set_norm(Vector<T> scale, Vector<T> shift) {
    norm_.set(std::move(scale), std::move(shift), out_channels(), this->at("set_norm"));
  }

  // ---- Computing ----

  /// Returns the size of y for images of size `in`. Throws ShapeError for images that are smaller
  /// than the kernel.
  [[nodiscard]] ImageShape output_shape(const ImageShape& in) const {
    return lora::output_shape(window_, in, Place{"LoRAConv2d::output_shape", this->name()});
  }

  /// Computes y (pixels, out_channels) for images x (in.rows(), in_channels), without dropout.
  /// Throws ShapeError.
  void forward(ConstMatrixRef<T> x, const ImageShape& in, Output<T> y) const {
    const Place where{"LoRAConv2d::forward", this->name()};
    const auto adapters = this->adapters();
    const Entry* const used = this->in_use(*adapters, where);
    Scratch scratch;
    const dora::Gains<T> gains = this->dora_gains(used, true, where, scratch);
    const MatrixRef<T> result = checked_output(x, in, y, where);
    run_forward(x, in, used, {}, scratch.matrix<T>(result.rows(), this->rank_of(used)), gains,
                result, result);
  }

  /// Computes y with dropout, and leaves on the tape what backward needs: drop(x) * A (pixels of y,
  /// rank), and with DoRA z (pixels of y, out_channels). x stays as it is until backward. Throws
  /// ShapeError, and StateError while merged.
  void forward(ConstMatrixRef<T> x, const ImageShape& in, Tape<T>& tape, Output<T> y) const {
    const Place where{"LoRAConv2d::forward(x, in, tape, y)", this->name()};
    this->require_unmerged(where);
    const auto adapters = this->adapters();
    const Entry* const used = this->in_use(*adapters, where);
    Scratch scratch;
    dora::Gains<T> gains = this->dora_gains(used, false, where, scratch);
    const MatrixRef<T> result = checked_output(x, in, y, where);
    auto& frame = tape.push(this, this->name(), result.rows());
    frame.note_input(x);
    frame.note_layout(layout_of(in));
    if (used != nullptr) detail::note_factors(*used->adapter, frame);
    frame.hold(adapters);
    const MatrixRef<T> xa = frame.keep(result.rows(), this->rank_of(used));
    const MatrixRef<T> z = gains.exist() ? gains.keep(result.rows(), frame) : result;
    run_forward(x, in, used, mask_of(used, frame.mask_step()), xa, gains, z, result);
  }

  /// Adds to the gradients of A, B (and whatever else trains: b_B, m, the bias), and computes the
  /// gradient of x. With dz = dy times the norm's scale and, with DoRA, m / n, and g = dz B:
  ///
  ///     dB += s dz^T (drop(x) * A),  dA += s g^T (patches of drop(x)),
  ///     dx = (dz back through W) + s (g back through A) * mask
  ///
  /// x and `in` are the forward's, dy (pixels, out_channels), dx (in.rows(), in_channels). The
  /// layer must be as it was in that forward. Throws ShapeError and StateError, before anything
  /// changes.
  void backward(ConstMatrixRef<T> x, const ImageShape& in, ConstMatrixRef<T> dy, Tape<T>& tape,
                Output<T> dx) {
    run_backward(x, in, dy, tape, GradientTarget<T>::own(), &dx);
  }

  /// Does the same without the gradient of x.
  void backward(ConstMatrixRef<T> x, const ImageShape& in, ConstMatrixRef<T> dy, Tape<T>& tape) {
    run_backward(x, in, dy, tape, GradientTarget<T>::own(), nullptr);
  }

  /// Does the same, but adds to `gradients`, a `Gradients<T>` made from parameters(): what threads
  /// that train one layer call, each with its own.
  void backward(ConstMatrixRef<T> x, const ImageShape& in, ConstMatrixRef<T> dy, Tape<T>& tape,
                GradientTarget<T> gradients, Output<T> dx) const {
    run_backward(x, in, dy, tape, gradients, &dx);
  }

  /// Does the same without the gradient of x.
  void backward(ConstMatrixRef<T> x, const ImageShape& in, ConstMatrixRef<T> dy, Tape<T>& tape,
                GradientTarget<T> gradients) const {
    run_backward(x, in, dy, tape, gradients, nullptr);
  }

  /// Computes a mixed batch, without dropout: each image of `in` with the adapter that `routes`
  /// names for it, or with none; see LoRALinear. The images of one adapter are computed together,
  /// and are what they are in a batch of their own, to the last bit. Throws ShapeError unless the
  /// routes are of as many images, and as LoRALinear's does.
  void forward(ConstMatrixRef<T> x, const ImageShape& in, const AdapterRoutes& routes,
               Output<T> y) const {
    const Place where{"LoRAConv2d::forward(x, in, routes, y)", this->name()};
    const auto adapters = this->routed_set(routes, where);
    const RoutedPaths<T> paths = routed(*adapters, routes, in, where);
    Scratch scratch;
    const MatrixRef<T> gains = this->routed_gains(paths, true, where, scratch);
    run_routed_forward(x, in, paths, gains, nullptr, checked_output(x, in, y, where));
  }

  /// Computes a mixed batch with dropout, and leaves on the tape what backward needs. backward then
  /// adds to the gradients of every adapter that images are routed to: they, dx and the masks are
  /// those of batches of each adapter's own, to the last bit. x stays as it is until then. Throws
  /// as above.
  void forward(ConstMatrixRef<T> x, const ImageShape& in, const AdapterRoutes& routes,
               Tape<T>& tape, Output<T> y) const {
    const Place where{"LoRAConv2d::forward(x, in, routes, tape, y)", this->name()};
    const auto adapters = this->routed_set(routes, where);
    const RoutedPaths<T> paths = routed(*adapters, routes, in, where);
    paths.require_distinct(where);
    Scratch scratch;
    const MatrixRef<T> gains = this->routed_gains(paths, false, where, scratch);
    const MatrixRef<T> result = checked_output(x, in, y, where);
    auto& frame = tape.push(this, this->name(), result.rows());
    frame.note_input(x);
    frame.note_layout(layout_of(in));
    paths.for_each([&](const Entry& entry) { detail::note_factors(*entry.adapter, frame); });
    frame.hold(adapters);
    frame.hold(routes.layout());
    static constexpr RoutedBackward routed_backward = &LoRAConv2d::run_routed_backward;
    frame.note_backward(&routed_backward);
    run_routed_forward(x, in, paths, gains, &frame, result);
  }

  // ---- Merging and files ----

  /// Returns W + s B A (out_channels, in_channels * height * width) in the order of files, without
  /// the norm; while merged, W as it is. Throws StateError without an adapter that is switched on,
  /// and of a convolution in groups.
  [[nodiscard]] Matrix<T> merged_weight() const {
    const Place where{"LoRAConv2d::merged_weight", this->name()};
    const auto adapters = this->adapters();
    return in_file_order(this->to_merge(*adapters, where), where);
  }

  /// Returns the weight that forward computes with, without the norm: W + s B A of the adapter in
  /// use, or W. In the order of files. Throws StateError for an adapter of a convolution in groups.
  [[nodiscard]] Matrix<T> weight_in_use() const {
    const Place where{"LoRAConv2d::weight_in_use", this->name()};
    const auto adapters = this->adapters();
    if (this->in_use(*adapters, where) != nullptr) this->require_whole_update(where);
    return in_file_order(this->in_use(*adapters, where), where);
  }

  /// Lists the tensors that an adapter of these settings has, with PEFT's shapes.
  [[nodiscard]] std::vector<AdapterTensor<T>> adapter_tensors(const LoRAConfig& config) const {
    const Adapter& adapter = this->adapter();
    std::vector<AdapterTensor<T>> tensors{
        {".lora_A.weight", a_shape(config.rank, in_channels(), window_), &adapter.a()},
        {".lora_B.weight", {out_channels(), config.rank / groups(), 1, 1}, &adapter.b()}};
    if (config.lora_bias) tensors.push_back({b_bias_suffix, {out_channels()}, &adapter.b_bias()});
    if (config.use_dora)
      tensors.push_back({magnitude_suffix, {1, out_channels(), 1, 1}, &adapter.magnitude()});
    if (config.train_bias && this->has_bias())
      tensors.push_back({".base_layer.bias", {out_channels()}, &this->bias()});
    return tensors;
  }

  using Base::replace_adapter;

  /// Replaces the active adapter by one of these settings and values, one for each of
  /// adapter_tensors(config).
  void replace_adapter(const LoRAConfig& config, std::vector<Matrix<T>> values) {
    std::size_t count = 2;
    std::optional<Matrix<T>> b_bias, magnitude;
    if (config.lora_bias) b_bias = std::move(values.at(count++));
    if (config.use_dora) magnitude = std::move(values.at(count++));
    replace_adapter(config, std::move(values.at(0)), std::move(values.at(1)), std::move(magnitude),
                    std::move(b_bias));
    if (values.size() == count) return;
    bias_.value = values[count];
    bias_.zero_grad();
  }

  // ---- What it is made of ----

  [[nodiscard]] Index in_channels() const { return this->in_features() / window_.taps(); }
  [[nodiscard]] Index out_channels() const { return this->out_features(); }
  [[nodiscard]] Index groups() const { return groups_; }
  [[nodiscard]] const Window& window() const { return window_; }

 private:
  friend Base;
  friend AdapterOwner<LoRAConv2d, Adapter>;

  using Base::bias_;
  using Base::groups_;
  using Base::weight_;
  using typename Base::Entry;
  using typename Base::Set;

  static Frozen frozen(const ConstMatrixRef<T>& weight, const Window& window, Index groups) {
    const Index channels = channels_of(weight.cols(), window);
    require_groups(weight.rows(), groups);
    Matrix<T> ordered(weight.rows(), weight.cols());
    kernels::to_tap_order<T>(weight, channels, ordered);
    return Frozen(ordered);
  }

  static void require_groups(Index out, Index groups) {
    if (groups < 1 || out % groups != 0)
      throw ConfigError(
          message(kind, ": groups is ", groups, ", expected a divisor of out_channels = ", out));
  }

  static Index channels_of(Index columns, const Window& window) {
    validate(window, kind);
    if (columns % window.taps() != 0)
      throw ShapeError(message(kind, ": the weight has ", columns,
                               " columns, expected in_channels times the ", window.taps(),
                               " elements of a kernel of ", window.kernel_height, " x ",
                               window.kernel_width));
    return columns / window.taps();
  }

  static std::vector<Index> a_shape(Index rank, Index channels, const Window& window) {
    return {rank, channels, window.kernel_height, window.kernel_width};
  }

  // What checkpoints say of the factors.
  void give_file_shapes(Adapter& adapter) const {
    adapter.a().set_shape(a_shape(adapter.rank(), in_channels(), window_));
    adapter.b().set_shape({out_channels(), adapter.rank() / groups(), 1, 1});
    if (adapter.has_magnitude()) adapter.magnitude().set_shape({1, out_channels(), 1, 1});
  }

  void complete(Adapter& adapter) const {
    Base::complete(adapter);
    give_file_shapes(adapter);
  }

  static Adapter new_adapter(Index out, Index in, const Window& window, const LoRAConfig& config,
                             std::uint64_t seed, Index groups) {
    validate(config, kind);
    require_groups(out, groups);
    static_cast<void>(channels_of(in / groups, window));
    return Adapter(out, in, config, seed, groups);
  }

  [[nodiscard]] Adapter make_adapter(const LoRAConfig& config, std::uint64_t seed) const {
    return new_adapter(this->out_features(), this->in_features(), window_, config, seed, groups());
  }

  // W, merged with `entry` unless that is null.
  [[nodiscard]] Matrix<T> in_file_order(const Entry* entry, const Place& where) const {
    Matrix<T> sum(weight_.out_features(), weight_.in_features()), file(sum.rows(), sum.cols());
    Scratch scratch;
    this->write_merged(entry, this->dora_gains(entry, false, where, scratch), sum);
    kernels::to_file_order<T>(sum, in_channels() / groups(), file);
    return file;
  }

  // The mask of x: its rows are pixels.
  [[nodiscard]] std::optional<DropoutMask> mask_of(const Entry* used,
                                                   std::uint64_t mask_step) const {
    if (used == nullptr) return {};
    return used->adapter->dropout_mask(mask_step, in_channels());
  }

  static std::uint64_t layout_of(const ImageShape& in) {
    std::uint64_t hash = 0xCBF29CE484222325;  // FNV-1a over words
    for (const Index size : {in.images, in.height, in.width})
      hash = (hash ^ static_cast<std::uint64_t>(size)) * 0x100000001B3;
    return hash;
  }

  template <class Where>
  [[nodiscard]] MatrixRef<T> checked_output(const ConstMatrixRef<T>& x, const ImageShape& in,
                                            const Output<T>& y, const Where& where) const {
    require_pixels(x, in, in_channels(), where, "x");
    const ImageShape out = lora::output_shape(window_, in, where);
    return y.shaped(out.rows(), out_channels(), where, "y", {x});
  }

  // A in the order of patches.
  [[nodiscard]] ConstMatrixRef<T> ordered_a(const Adapter& adapter, Scratch& scratch) const {
    const auto& a = adapter.a().value;
    if (window_.taps() == 1) return a;
    MatrixRef<T> ordered = scratch.matrix<T>(a.rows(), a.cols());
    kernels::to_tap_order<T>(a, in_channels(), ordered);
    return ordered;
  }

  // B as a factor of all outputs, (out_channels, rank): of groups the blocks on its diagonal.
  [[nodiscard]] ConstMatrixRef<T> factor_b(const Adapter& adapter, Scratch& scratch) const {
    const auto& b = adapter.b().value;
    if (groups_ == 1) return b;
    MatrixRef<T> full = scratch.matrix<T>(b.rows(), adapter.rank());
    kernels::to_block_diagonal<T>(b, groups_, full);
    return full;
  }

  [[nodiscard]] kernels::ConvGroups conv_groups() const {
    return {groups_, in_channels() / groups_, out_channels() / groups_};
  }

  // x times its mask.
  static MatrixRef<T> dropped(const ConstMatrixRef<T>& x, const DropoutMask& mask,
                              Scratch& scratch) {
    const MatrixRef<T> to = scratch.matrix<T>(x.rows(), x.cols());
    dora::drop<T>(x, mask, to);
    return to;
  }

  // Writes the xa (places, rank) of drop(x).
  void run_a(ConstMatrixRef<T> x, const ImageShape& in, const kernels::PixelTaps& taps,
             const ConstMatrixRef<T>& a, const std::optional<DropoutMask>& mask,
             MatrixRef<T> xa) const {
    Scratch scratch;
    const ConstMatrixRef<T> kept_x = mask ? ConstMatrixRef<T>(dropped(x, *mask, scratch)) : x;
    const kernels::PatchRows<T> kept(kernels::padded_images<T>(window_, in, kept_x, scratch).x,
                                     taps);
    const ConstMatrixRef<T> none(nullptr, 0, this->in_features(), this->in_features());
    const kernels::MatrixPanels<T> panels{kernels::columns_of(a.data(), a.outerStride(), false)};
    kernels::conv2d_forward<T>(kept, panels, nullptr, nullptr, {none, xa},
                               {xa.leftCols(0), {}, T(0)}, xa);
  }

  // z is where DoRA puts what its gains multiply: y, or memory of the tape.
  void run_forward(ConstMatrixRef<T> x, const ImageShape& in, const Entry* used,
                   const std::optional<DropoutMask>& mask, MatrixRef<T> xa,
                   const dora::Gains<T>& gains, MatrixRef<T> z, MatrixRef<T> y) const {
    if (gains.exist()) return run_dora_forward(x, in, *used, mask, xa, gains, z, y);
    if (groups_ > 1) return run_grouped_forward(x, in, used, mask, xa, y);
    const ImageShape out = lora::output_shape(window_, in, kind);
    Scratch scratch;
    const auto images = kernels::padded_images<T>(window_, in, x, scratch);
    const kernels::PixelTaps taps = kernels::window_taps(images.window, images.in, out);
    const kernels::PatchRows<T> patches(images.x, taps);
    const T* const start = norm_.start_row(this->bias_row(used, scratch), out_channels(), scratch);
    const ConstMatrixRef<T> none(nullptr, 0, this->in_features(), this->in_features());
    if (used == nullptr)
      return kernels::conv2d_forward<T>(patches, weight_.panels(), start, norm_.scale(), {none, xa},
                                        {xa.leftCols(0), {}, T(0)}, y);
    const ConstMatrixRef<T> a = ordered_a(*used->adapter, scratch);
    // With dropout A sees other patches than W.
    if (mask) run_a(x, in, taps, a, mask, xa);
    // B^T, whose rows tiles read.
    const auto& b = used->adapter->b().value;
    MatrixRef<T> bt = scratch.matrix<T>(b.cols(), b.rows());
    bt = b.transpose();
    if (norm_.exists()) norm_.scale_columns(bt);
    kernels::conv2d_forward<T>(patches, weight_.panels(), start, norm_.scale(),
                               {mask ? none : a, xa},
                               {xa, kernels::columns_of(bt.data(), bt.outerStride(), true),
                                static_cast<T>(used->scaling())},
                               y);
  }

  // The same of a convolution in groups.
  void run_grouped_forward(ConstMatrixRef<T> x, const ImageShape& in, const Entry* used,
                           const std::optional<DropoutMask>& mask, MatrixRef<T> xa,
                           MatrixRef<T> y) const {
    const ImageShape out = lora::output_shape(window_, in, kind);
    Scratch scratch;
    const auto images = kernels::padded_images<T>(window_, in, x, scratch);
    const kernels::PixelTaps taps = kernels::window_taps(images.window, images.in, out);
    MatrixRef<T> bt = scratch.matrix<T>(xa.cols(), out_channels());
    if (used != nullptr) {
      run_a(x, in, taps, ordered_a(*used->adapter, scratch), mask, xa);
      bt = norm_.scaled_rows(factor_b(*used->adapter, scratch), scratch).transpose();
    }
    const T* const start = norm_.start_row(this->bias_row(used, scratch), out_channels(), scratch);
    kernels::grouped_conv2d_forward<T>(images.x, taps, conv_groups(), weight_.panels(), start,
                                       norm_.scale(),
                                       {xa, kernels::columns_of(bt.data(), bt.outerStride(), true),
                                        used != nullptr ? static_cast<T>(used->scaling()) : T(0)},
                                       y);
  }

  // The same with DoRA: z = drop(x) * (W + s B A), y = start + c (x - drop(x)) * W + c g z, c being
  // the norm's scale.
  void run_dora_forward(ConstMatrixRef<T> x, const ImageShape& in, const Entry& used,
                        const std::optional<DropoutMask>& mask, MatrixRef<T> xa,
                        const dora::Gains<T>& gains, MatrixRef<T> z, MatrixRef<T> y) const {
    const ImageShape out = lora::output_shape(window_, in, kind);
    Scratch scratch;
    MatrixRef<T> part = mask ? dropped(x, *mask, scratch) : MatrixRef<T>(nullptr, 0, 0, 0);
    const auto images =
        kernels::padded_images<T>(window_, in, mask ? ConstMatrixRef<T>(part) : x, scratch);
    const kernels::PixelTaps taps = kernels::window_taps(images.window, images.in, out);
    const T* const start = norm_.start_row(this->bias_row(), out_channels(), scratch);
    MatrixRef<T> scale = scratch.matrix<T>(1, out_channels());
    std::copy_n(gains.gain(), out_channels(), scale.data());
    if (norm_.exists()) norm_.scale_columns(scale);
    const ConstMatrixRef<T> a = ordered_a(*used.adapter, scratch);
    const auto& b = used.adapter->b().value;
    MatrixRef<T> bt = scratch.matrix<T>(b.cols(), b.rows());
    bt = b.transpose();
    kernels::conv2d_forward<T>(kernels::PatchRows<T>(images.x, taps), weight_.panels(), nullptr,
                               nullptr, {a, xa},
                               {xa, kernels::columns_of(bt.data(), bt.outerStride(), true),
                                static_cast<T>(used.scaling())},
                               z);
    if (!mask) return dora::scale_outputs<T>(z, scale.data(), start, y);
    part = x - part;
    const ConstMatrixRef<T> none(nullptr, 0, this->in_features(), this->in_features());
    const kernels::PatchRows<T> rest(kernels::padded_images<T>(window_, in, part, scratch).x, taps);
    kernels::conv2d_forward<T>(rest, weight_.panels(), start, norm_.scale(), {none, xa},
                               {xa.leftCols(0), {}, T(0)}, y);
    dora::add_scaled<T>(z, scale.data(), y);
  }

  void run_backward(ConstMatrixRef<T> x, const ImageShape& in, ConstMatrixRef<T> dy, Tape<T>& tape,
                    GradientTarget<T> target, const Output<T>* dx) const {
    const Place where{"LoRAConv2d::backward", this->name()};
    this->require_unmerged(where);
    require_pixels(x, in, in_channels(), where, "x");
    const ImageShape out = lora::output_shape(window_, in, where);
    require_pixels(dy, out, out_channels(), where, "dy");
    auto& frame = tape.top(this, dy.rows(), where);
    if (frame.layout() != layout_of(in))
      throw StateError(message(where, ": the images are of another size than in the forward on ",
                               "the tape: ", in.images, " of ", in.height, " x ", in.width));
    if (const auto* routed = frame.template noted_backward<RoutedBackward>())
      return (this->**routed)(x, in, dy, tape, frame, target, dx, where);
    const auto adapters = this->adapters();
    Base::require_same(*static_cast<const Set*>(frame.held().get()), *adapters, where);
    const Entry* const used = this->in_use(*adapters, where);
    if (used != nullptr) {
      frame.require_input(x, where);
      detail::require_noted_factors(*used->adapter, frame, 1, where);
    }
    const bool with_bias = this->trains_bias(*adapters);
    const MatrixRef<T> none(nullptr, 0, 0, 0);
    const Targets targets = used != nullptr ? targets_of(*used, target) : Targets{};
    const MatrixRef<T> dbias = with_bias ? target.of(bias_) : none;
    const MatrixRef<T> to =
        dx != nullptr ? dx->shaped(x.rows(), in_channels(), where, "dx", {x, dy}) : none;

    if (with_bias) bias_gradient(dy, T(1), dbias);
    if (used != nullptr) {
      adapter_backward(x, in, dy, *used, kept_of(*used, frame, 0), targets,
                       dx != nullptr ? &to : nullptr);
    } else if (dx != nullptr) {
      input_gradient(in, out, dy, {none, none}, T(0), to);
    }
    tape.pop();
  }

  // Where the gradients of an adapter go.
  struct Targets {
    MatrixRef<T> da{nullptr, 0, 0, 0};
    MatrixRef<T> db{nullptr, 0, 0, 0};
    MatrixRef<T> dm{nullptr, 0, 0, 0};       // with DoRA
    MatrixRef<T> db_bias{nullptr, 0, 0, 0};  // with lora_bias
  };

  [[nodiscard]] static Targets targets_of(const Entry& used, GradientTarget<T> target) {
    const Adapter& adapter = *used.adapter;
    const MatrixRef<T> none(nullptr, 0, 0, 0);
    return {target.of(adapter.a()), target.of(adapter.b()),
            dora::is_used_by(&used) ? target.of(adapter.magnitude()) : none,
            Base::has_b_bias(&used) ? target.of(adapter.b_bias()) : none};
  }

  // What the forward with an adapter left.
  struct Kept {
    std::optional<DropoutMask> mask;
    MatrixRef<T> xa;       // (pixels of y, rank)
    dora::Gains<T> gains;  // with DoRA alone, as z
    MatrixRef<T> z;        // (pixels of y, out_channels)
  };

  // Finds it on the tape, from the matrix number `first` on.
  [[nodiscard]] Kept kept_of(const Entry& used, typename Tape<T>::Frame& frame,
                             std::size_t first) const {
    const auto mask = mask_of(&used, frame.mask_step());
    if (!dora::is_used_by(&used))
      return {mask, frame.kept(first), {}, MatrixRef<T>(nullptr, 0, 0, 0)};
    return {mask, frame.kept(first), {frame.kept(first + 1)}, frame.kept(first + 2)};
  }

  // Adds to the gradients of the adapter that x was computed with, and computes dx unless that is
  // null.
  void adapter_backward(ConstMatrixRef<T> x, const ImageShape& in, ConstMatrixRef<T> dy,
                        const Entry& used, const Kept& kept, const Targets& targets,
                        const MatrixRef<T>* dx) const {
    const ImageShape out = lora::output_shape(window_, in, kind);
    const MatrixRef<T> none(nullptr, 0, 0, 0), xa = kept.xa;
    MatrixRef<T> da = targets.da;
    const MatrixRef<T> db = targets.db;
    const T s = static_cast<T>(used.scaling());
    const bool with_dora = dora::is_used_by(&used);
    Scratch scratch;
    // The norm's scale goes into the smaller sides of the products, and not into dy; with DoRA,
    // which makes another dy anyway, into that.
    if (Base::has_b_bias(&used)) bias_gradient(dy, s, targets.db_bias);
    const bool scales = norm_.exists() && !with_dora;
    const ConstMatrixRef<T> of_sum =
        norm_.exists() && with_dora ? norm_.scaled_columns(dy, scratch) : dy;
    const ConstMatrixRef<T> dz =
        with_dora ? dora::backward<T>(of_sum, kept.gains, kept.z, targets.dm, scratch) : of_sum;
    const ConstMatrixRef<T> b = factor_b(*used.adapter, scratch);
    MatrixRef<T> g = scratch.matrix<T>(dy.rows(), xa.cols());  // dz diag(scale) B
    low_rank_path::gradient_of_xa<T>(dz, scales ? norm_.scaled_rows(b, scratch) : b, g);
    const bool in_place = !scales && groups_ == 1;
    MatrixRef<T> unscaled = in_place ? db : scratch.matrix<T>(b.rows(), b.cols());
    if (!in_place) unscaled.setZero();
    const low_rank_path::Gradients<T> path{g, dz, xa, s, da.leftCols(0), unscaled};
    low_rank_path::add_gradients<T>(g.leftCols(0), std::span(&path, 1));
    if (!in_place)
      kernels::add_diagonal_blocks<T>(scales ? norm_.scaled_rows(unscaled, scratch) : unscaled,
                                      groups_, db);

    const auto& mask = kept.mask;
    const ConstMatrixRef<T> a = ordered_a(*used.adapter, scratch);
    const bool same_order = window_.taps() == 1;
    MatrixRef<T> ordered_da = same_order ? da : scratch.matrix<T>(a.rows(), a.cols());
    if (!same_order) ordered_da.setZero();
    const auto images = kernels::padded_images<T>(
        window_, in, mask ? ConstMatrixRef<T>(dropped(x, *mask, scratch)) : x, scratch);
    kernels::add_conv2d_factor_gradient<T>(images.window, images.in, out, g, images.x, s,
                                           ordered_da);
    if (!same_order) kernels::add_in_file_order<T>(ordered_da, in_channels(), da);
    if (dx == nullptr) return;
    const MatrixRef<T> to = *dx;
    if (with_dora) {
      MatrixRef<T> of_z = mask ? scratch.matrix<T>(to.rows(), to.cols()) : to;
      const auto panels = weight_.transposed_panels();
      kernels::conv2d_images_gradient<T>(window_, in, out, dz, panels, nullptr, {a, g}, s, of_z);
      if (mask) {
        kernels::conv2d_images_gradient<T>(window_, in, out, of_sum, panels, nullptr, {none, none},
                                           T(0), to);
        dora::mix<T>(*mask, of_z, to);
      }
    } else if (groups_ > 1) {
      input_gradient(in, out, dy, {none, none}, T(0), to);
      add_a_gradient(in, out, g, a, s, mask, to);
    } else {
      input_gradient(in, out, dy, {mask ? ConstMatrixRef<T>(a.topRows(0)) : a, g}, s, to);
      if (mask) add_a_gradient(in, out, g, a, s, mask, to);
    }
  }

  // Adds s times the sums of dy's columns, scaled by the norm.
  void bias_gradient(const ConstMatrixRef<T>& dy, T s, MatrixRef<T> dbias) const {
    if (!norm_.exists()) return add_bias_gradient<T>(dy, s, dbias);
    Scratch scratch;
    MatrixRef<T> sums = scratch.matrix<T>(1, dy.cols());
    sums.setZero();
    add_bias_gradient<T>(dy, sums);
    for (Index o = 0; o < dy.cols(); ++o) dbias.data()[o] += s * norm_.scale()[o] * sums(0, o);
  }

  // dx = dy diag(scale) back through W, and g back through A if that has rows, as it has not where
  // W has groups. The scale goes into the smaller of dy and W.
  void input_gradient(const ImageShape& in, const ImageShape& out, const ConstMatrixRef<T>& dy,
                      const kernels::LowRankInput<T>& low_rank, T s, MatrixRef<T> dx) const {
    const bool few_pixels = norm_.exists() && dy.rows() < this->in_features();
    Scratch scratch;
    const ConstMatrixRef<T> from = few_pixels ? norm_.scaled_columns(dy, scratch) : dy;
    if (groups_ > 1)
      return kernels::grouped_conv2d_images_gradient<T>(
          window_, in, out, conv_groups(), from, weight_.panels(), weight_.transposed_panels(),
          few_pixels ? nullptr : norm_.scale(), dx);
    kernels::conv2d_images_gradient<T>(window_, in, out, from, weight_.transposed_panels(),
                                       few_pixels ? nullptr : norm_.scale(), low_rank, s, dx);
  }

  // dx += s (g back through A) * mask.
  void add_a_gradient(const ImageShape& in, const ImageShape& out, const ConstMatrixRef<T>& g,
                      const ConstMatrixRef<T>& a, T s, const std::optional<DropoutMask>& mask,
                      MatrixRef<T> dx) const {
    Scratch scratch;
    MatrixRef<T> part = scratch.matrix<T>(dx.rows(), dx.cols());
    const kernels::MatrixPanels<T> panels{kernels::columns_of(a.data(), a.outerStride(), true)};
    const MatrixRef<T> none(nullptr, 0, 0, 0);
    kernels::conv2d_images_gradient<T>(window_, in, out, g, panels, nullptr, {none, none}, T(0),
                                       part);
    if (!mask)
      return for_each_row(dx.rows(), dx.cols(), 2, [&](Index i) { dx.row(i) += s * part.row(i); });
    MatrixRef<T> kept = scratch.matrix<T>(dx.rows(), dx.cols());
    for_each_row(dx.rows(), dx.cols(), 16, [&](Index i) {
      mask->fill(i, 0, dx.cols(), kept.data() + i * kept.outerStride());
      dx.row(i).array() += s * part.row(i).array() * kept.row(i).array();
    });
  }

  // ---- Mixed batches ----

  using RoutedBackward = void (LoRAConv2d::*)(ConstMatrixRef<T>, const ImageShape&,
                                              ConstMatrixRef<T>, Tape<T>&, typename Tape<T>::Frame&,
                                              GradientTarget<T>, const Output<T>*,
                                              const Place&) const;

  template <class Where>
  [[nodiscard]] RoutedPaths<T> routed(const Set& adapters, const AdapterRoutes& routes,
                                      const ImageShape& in, const Where& where) const {
    if (routes.rows() != in.images)
      throw ShapeError(message(where, ": the routes are of ", routes.rows(),
                               " images, expected the ", in.images, " of the batch"));
    return RoutedPaths<T>(adapters, *routes.layout(), routes.layers_may_lack_adapters(), where,
                          [&](const Adapter& adapter) { this->check_shape(adapter, where); });
  }

  // With a frame it keeps there, one after the other, what each adapter's part of backward needs.
  void run_routed_forward(ConstMatrixRef<T> x, const ImageShape& in, const RoutedPaths<T>& paths,
                          MatrixRef<T> gains, typename Tape<T>::Frame* frame,
                          MatrixRef<T> y) const {
    Index next_gains = 0;
    RoutedImages<T> batches(paths);
    batches.for_each([&](const Entry* used, std::span<const Index> images) {
      dora::Gains<T> own;
      if (dora::is_used_by(used)) {
        std::construct_at(
            &own, dora::Gains<T>{MatrixRef<T>(MatrixRef<T>(gains).middleRows(next_gains, 2))});
        next_gains += 2;
      }
      if (images.empty()) return;
      const ImageShape some{static_cast<Index>(images.size()), in.height, in.width};
      const ImageShape out = lora::output_shape(window_, some, kind);
      const Index from = in.height * in.width, to = out.height * out.width;  // of an image
      Scratch scratch;
      const MatrixRef<T> own_y = batches.room(y, images, to, scratch);
      const Index rank = this->rank_of(used);
      const bool keeps = frame != nullptr && used != nullptr;
      const MatrixRef<T> xa =
          keeps ? frame->keep(out.rows(), rank) : scratch.matrix<T>(out.rows(), rank);
      const MatrixRef<T> z = keeps && own.exist() ? own.keep(out.rows(), *frame) : own_y;
      const std::optional<DropoutMask> mask =
          keeps ? mask_of(used, frame->mask_step()) : std::nullopt;
      run_forward(batches.taken(x, images, from, scratch), some, used, mask, xa, own, z, own_y);
      batches.put(own_y, images, to, y);
    });
  }

  void run_routed_backward(ConstMatrixRef<T> x, const ImageShape& in, ConstMatrixRef<T> dy,
                           Tape<T>& tape, typename Tape<T>::Frame& frame, GradientTarget<T> target,
                           const Output<T>* dx, const Place& where) const {
    const auto& then = *static_cast<const Set*>(frame.held(0).get());
    const auto& layout = *static_cast<const AdapterRoutes::Layout*>(frame.held(1).get());
    const auto adapters = this->adapters();
    RoutedPaths<T>::require_same(then, *adapters, layout, where);
    const RoutedPaths<T> paths(*adapters, layout, true, where,
                               [&](const Adapter& adapter) { this->check_shape(adapter, where); });
    if (paths.rank() > 0) frame.require_input(x, where);
    Scratch scratch;
    auto* const targets = scratch.take<Targets>(static_cast<Index>(layout.names.size()));
    std::size_t mark = 1, count = 0;
    paths.for_each([&](const Entry& entry) {
      detail::require_noted_factors(*entry.adapter, frame, mark, where);
      mark += detail::factor_marks(*entry.adapter);
      std::construct_at(targets + count++, targets_of(entry, target));
    });
    const MatrixRef<T> none(nullptr, 0, 0, 0);
    const bool with_bias = this->trains_bias(paths);
    const MatrixRef<T> dbias = with_bias ? target.of(bias_) : none;
    const MatrixRef<T> result =
        dx != nullptr ? dx->shaped(x.rows(), in_channels(), where, "dx", {x, dy}) : none;

    if (with_bias) bias_gradient(dy, T(1), dbias);
    const Targets* next = targets;
    std::size_t next_kept = 0;
    RoutedImages<T> batches(paths);
    batches.for_each([&](const Entry* used, std::span<const Index> images) {
      const Targets* const own = used != nullptr ? next++ : nullptr;
      if (images.empty() || (used == nullptr && dx == nullptr)) return;
      const ImageShape some{static_cast<Index>(images.size()), in.height, in.width};
      const ImageShape out = lora::output_shape(window_, some, kind);
      const Index from = in.height * in.width, to = out.height * out.width;  // of an image
      Scratch inner;
      const MatrixRef<T> own_dx =
          dx != nullptr ? batches.room(result, images, from, inner) : MatrixRef<T>(none);
      const ConstMatrixRef<T> own_dy = batches.taken(dy, images, to, inner);
      if (used == nullptr) {
        input_gradient(some, out, own_dy, {none, none}, T(0), own_dx);
      } else {
        adapter_backward(batches.taken(x, images, from, inner), some, own_dy, *used,
                         kept_of(*used, frame, next_kept), *own, dx != nullptr ? &own_dx : nullptr);
        next_kept += dora::is_used_by(used) ? 3 : 1;
      }
      if (dx != nullptr) batches.put(own_dx, images, from, result);
    });
    tape.pop();
  }

  Window window_;
  OutputAffine<T> norm_;
};

}  // namespace lora
