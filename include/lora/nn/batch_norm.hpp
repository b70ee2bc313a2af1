#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "lora/core/elementwise.hpp"
#include "lora/core/gradients.hpp"
#include "lora/core/output.hpp"
#include "lora/core/parameter_list.hpp"
#include "lora/core/parameter_name.hpp"
#include "lora/core/place.hpp"
#include "lora/core/scratch.hpp"
#include "lora/core/tape.hpp"
#include "lora/nn/channel_sums.hpp"

namespace lora {

/// The numbers of a batch norm of C channels, each a row (1, C), as PyTorch's BatchNorm2d has them.
template <class T>
struct BatchNormValues {
  Matrix<T> weight;
  Matrix<T> bias;
  Matrix<T> running_mean;
  Matrix<T> running_var;
};

/// Batch normalisation of the columns of x (N, C), pixels of images or tokens (Ioffe and Szegedy,
/// 2015; PyTorch's BatchNorm2d):
///
///     y = weight (x - mean) / sqrt(var + eps) + bias
///
/// forward takes the running statistics for mean and var, in training too: they are frozen, so that
/// a model computes the same in training as when it is loaded again, and weight and bias may train.
/// forward_batch takes those of the batch (var divided by N), as training from scratch does, and
/// moves the running ones towards them (var divided by N - 1) by `momentum`; a model whose forward
/// is const calls the two halves of it.
///
/// Const calls may come from several threads at once, each with a tape and Gradients of its own. A
/// second call of the same shapes allocates nothing.
template <class T>
class BatchNorm {
 public:
  using Scalar = T;

  /// Makes a new norm of weight 1, bias 0, mean 0 and variance 1. Throws ShapeError for fewer than
  /// one channel.
  explicit BatchNorm(Index channels, double eps = 1e-5, double momentum = 0.1)
      : BatchNorm({Matrix<T>::Ones(1, std::max<Index>(channels, 0)),
                   Matrix<T>::Zero(1, std::max<Index>(channels, 0)),
                   Matrix<T>::Zero(1, std::max<Index>(channels, 0)),
                   Matrix<T>::Ones(1, std::max<Index>(channels, 0))},
                  eps, momentum) {}

  /// Takes the numbers of a trained norm. Throws ShapeError unless all are (1, C), C > 0, and
  /// ConfigError for a negative variance, an eps that is not positive and a momentum out of [0, 1].
  explicit BatchNorm(BatchNormValues<T> values, double eps = 1e-5, double momentum = 0.1)
      : eps_(eps), momentum_(momentum) {
    const Index channels = values.weight.cols();
    if (channels < 1) throw ShapeError("BatchNorm: there are no channels");
    require_shape(values.weight, 1, channels, "BatchNorm", "weight");
    require_shape(values.bias, 1, channels, "BatchNorm", "bias");
    require_shape(values.running_mean, 1, channels, "BatchNorm", "running_mean");
    require_shape(values.running_var, 1, channels, "BatchNorm", "running_var");
    if (!(eps > 0) || !std::isfinite(eps))
      throw ConfigError(message("BatchNorm: eps is ", eps, ", expected a number above 0"));
    if (!(momentum >= 0 && momentum <= 1))
      throw ConfigError(message("BatchNorm: momentum is ", momentum, ", expected [0, 1]"));
    if (!(values.running_var.array() >= T(0)).all())
      throw ConfigError("BatchNorm: running_var has a number below 0");
    weight_ = Parameter<T>("", std::move(values.weight), {channels});
    bias_ = Parameter<T>("", std::move(values.bias), {channels});
    mean_ = Parameter<T>("", std::move(values.running_mean), {channels});
    var_ = Parameter<T>("", std::move(values.running_var), {channels});
    set_name("");
  }

  /// Computes y (N, C) with the running statistics. y may be x itself, but no other part of its
  /// memory. Throws ShapeError, and ConfigError for a variance below 0.
  void forward(ConstMatrixRef<T> x, Output<T> y) const {
    const Place where = place("BatchNorm::forward");
    require_cols(x, channels(), where, "x", "channels");
    MatrixRef<T> out = y.shaped_elementwise(x.rows(), x.cols(), where, "y", {x});
    Scratch scratch;
    MatrixRef<T> map = scratch.matrix<T>(2, channels());
    fill_map(mean_.value, inverse_deviation(scratch), map);
    apply(x, map, out);
  }

  /// Computes the same and leaves on the tape what backward needs. y is no part of x, which stays
  /// as it is until backward.
  void forward(ConstMatrixRef<T> x, Tape<T>& tape, Output<T> y) const {
    const Place where = place("BatchNorm::forward");
    require_cols(x, channels(), where, "x", "channels");
    y.check(x.rows(), x.cols(), where, "y", {x});
    forward(x, y);
    Scratch scratch;
    keep(x, mean_.value, inverse_deviation(scratch), false, tape);
  }

  /// Computes y with the statistics of this batch, moves the running ones, and leaves on the tape
  /// what backward needs. Not const: one thread at a time. Throws ShapeError, also for fewer than
  /// two rows, whose variance says nothing.
  void forward_batch(ConstMatrixRef<T> x, Tape<T>& tape, Output<T> y) {
    normalise_batch(x, tape, y);
    move_statistics(tape);
  }

  /// Computes what forward_batch does, and moves nothing: move_statistics does, before backward.
  /// Throws as forward_batch.
  void normalise_batch(ConstMatrixRef<T> x, Tape<T>& tape, Output<T> y) const {
    const Place where = place("BatchNorm::forward_batch");
    require_cols(x, channels(), where, "x", "channels");
    if (x.rows() < 2)
      throw ShapeError(message(where, ": x has ", x.rows(), " rows, expected at least 2"));
    MatrixRef<T> out = y.shaped(x.rows(), x.cols(), where, "y", {x});
    Scratch scratch;
    MatrixRef<T> mean = scratch.matrix<T>(1, channels()), var = scratch.matrix<T>(1, channels());
    channel_moments<T>(x, mean, var);
    MatrixRef<T> inverse = scratch.matrix<T>(1, channels());
    inverse.array() = (var.array() + T(eps_)).rsqrt();
    MatrixRef<T> map = scratch.matrix<T>(2, channels());
    fill_map(mean, inverse, map);
    apply(x, map, out);
    keep(x, mean, inverse, true, tape).keep(1, channels()) = var;
  }

  /// Moves the running statistics towards those of the newest normalise_batch on the tape. Not
  /// const: one thread at a time. Throws StateError without one.
  void move_statistics(Tape<T>& tape) {
    const Place where = place("BatchNorm::move_statistics");
    auto& frame = tape.find(this, where);
    if (frame.layout() != of_batch)
      throw StateError(message(where, ": the newest forward took the running statistics"));
    const MatrixRef<T> mean = frame.kept(0), var = frame.kept(2);
    const auto n = static_cast<double>(frame.rows());
    const T moved = static_cast<T>(momentum_), unbiased = static_cast<T>(n / (n - 1));
    mean_.value += moved * (mean - mean_.value);
    var_.value += moved * (unbiased * var - var_.value);
  }

  /// Adds dweight += sum over rows of dy x^ and dbias += sum of dy for x^ = (x - mean) / sqrt(var +
  /// eps), and computes dx: weight dy / sqrt(var + eps), and after forward_batch that of (dy -
  /// mean(dy) - x^ mean(dy x^)). dx may be dy itself. Throws ShapeError and StateError, before
  /// anything changes.
  void backward(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, Tape<T>& tape, Output<T> dx) {
    backward(x, dy, tape, GradientTarget<T>::own(), dx);
  }

  /// Does the same, but adds to `gradients`.
  void backward(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, Tape<T>& tape,
                GradientTarget<T> gradients, Output<T> dx) const {
    run_backward(x, dy, tape, gradients, {true, true}, dx);
  }

  /// Does the same for a norm of which at most the bias trains.
  void backward_to_bias(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, Tape<T>& tape,
                        GradientTarget<T> gradients, bool bias_trains, Output<T> dx) const {
    run_backward(x, dy, tape, gradients, {false, bias_trains}, dx);
  }

  /// Returns the map that forward is, scale (C) and shift (C): what LoRAConv2d::set_norm takes.
  [[nodiscard]] std::pair<Vector<T>, Vector<T>> scale_and_shift() const {
    Scratch scratch;
    MatrixRef<T> map = scratch.matrix<T>(2, channels());
    fill_map(mean_.value, inverse_deviation(scratch), map);
    return {map.row(0).transpose(), map.row(1).transpose()};
  }

  [[nodiscard]] Index channels() const { return weight_.value.cols(); }
  [[nodiscard]] double eps() const { return eps_; }
  [[nodiscard]] const FixedMatrix<T>& running_mean() const { return mean_.value; }
  [[nodiscard]] const FixedMatrix<T>& running_var() const { return var_.value; }
  [[nodiscard]] Parameter<T>& weight() { return weight_; }
  [[nodiscard]] const Parameter<T>& weight() const { return weight_; }
  [[nodiscard]] Parameter<T>& bias() { return bias_; }
  [[nodiscard]] const Parameter<T>& bias() const { return bias_; }

  /// Lists weight and bias.
  [[nodiscard]] ParameterList<T> parameters() { return {&weight_, &bias_}; }

  /// Lists the running mean and variance, which do not train, but are stored beside what does.
  [[nodiscard]] ParameterList<T> statistics() { return {&mean_, &var_}; }

  [[nodiscard]] const std::string& name() const { return name_; }

  /// Names the norm; its numbers are then `name.weight`, `name.running_mean` and so on, as in
  /// PyTorch.
  void set_name(const std::string& name) {
    name_ = name;
    weight_.name = parameter_name(name, "weight");
    bias_.name = parameter_name(name, "bias");
    mean_.name = parameter_name(name, "running_mean");
    var_.name = parameter_name(name, "running_var");
  }

 private:
  static constexpr std::uint64_t of_batch = 1;

  struct Trains {
    bool weight;
    bool bias;
  };

  void run_backward(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, Tape<T>& tape,
                    GradientTarget<T> gradients, Trains trains, Output<T> dx) const {
    const Place where = place("BatchNorm::backward");
    require_cols(x, channels(), where, "x", "channels");
    require_shape(dy, x.rows(), x.cols(), where, "dy");
    auto& frame = tape.top(this, x.rows(), where);
    frame.require_input(x, where);
    frame.mark(1).require_elements(weight_.value, where, "the weight");
    const MatrixRef<T> none(nullptr, 0, 0, 0);
    MatrixRef<T> dweight = trains.weight ? gradients.of(weight_) : none;
    MatrixRef<T> dbias = trains.bias ? gradients.of(bias_) : none;
    dx.check(x.rows(), x.cols(), where, "dx", {x});
    MatrixRef<T> out = dx.shaped_elementwise(x.rows(), x.cols(), where, "dx", {dy});
    const MatrixRef<T> mean = frame.kept(0), inverse = frame.kept(1);
    Scratch scratch;
    MatrixRef<T> sum = scratch.matrix<T>(1, channels()), product = scratch.matrix<T>(1, channels());
    channel_gradients<T>(x, dy, mean, inverse, sum, product);
    if (trains.weight) dweight += product;
    if (trains.bias) dbias += sum;
    // dx = a dy + b x + c, per channel.
    MatrixRef<T> map = scratch.matrix<T>(3, channels());
    map.row(0) = weight_.value.row(0).cwiseProduct(inverse.row(0));
    map.bottomRows(2).setZero();
    if (frame.layout() == of_batch) {
      const auto n = static_cast<T>(x.rows());
      map.row(1) = -map.row(0).cwiseProduct(inverse.row(0)).cwiseProduct(product.row(0)) / n;
      map.row(2) = -map.row(0).cwiseProduct(sum.row(0)) / n - map.row(1).cwiseProduct(mean.row(0));
    }
    for_each_row(x.rows(), x.cols(), 4, [&](Index i) {
      out.row(i) =
          dy.row(i).cwiseProduct(map.row(0)) + x.row(i).cwiseProduct(map.row(1)) + map.row(2);
    });
    tape.pop();
  }

  [[nodiscard]] Place place(const char* call) const { return {call, name_}; }

  [[nodiscard]] MatrixRef<T> inverse_deviation(Scratch& scratch) const {
    // They may come from a file.
    if (!(var_.value.array() >= T(0)).all())
      throw ConfigError(message(place("BatchNorm"), ": running_var has a number below 0"));
    MatrixRef<T> inverse = scratch.matrix<T>(1, channels());
    inverse.array() = (var_.value.array() + T(eps_)).rsqrt();
    return inverse;
  }

  // y = scale x + shift: the rows of `map`.
  void fill_map(const ConstMatrixRef<T>& mean, const ConstMatrixRef<T>& inverse,
                MatrixRef<T>& map) const {
    map.row(0) = weight_.value.row(0).cwiseProduct(inverse.row(0));
    map.row(1) = bias_.value.row(0) - map.row(0).cwiseProduct(mean.row(0));
  }

  static void apply(const ConstMatrixRef<T>& x, const MatrixRef<T>& map, MatrixRef<T>& out) {
    for_each_row(x.rows(), x.cols(), 2,
                 [&](Index i) { out.row(i) = x.row(i).cwiseProduct(map.row(0)) + map.row(1); });
  }

  typename Tape<T>::Frame& keep(const ConstMatrixRef<T>& x, const ConstMatrixRef<T>& mean,
                                const ConstMatrixRef<T>& inverse, bool batch, Tape<T>& tape) const {
    auto& frame =
        tape.push(this, name_.empty() ? std::string_view("a BatchNorm") : name_, x.rows());
    frame.note_input(x);
    frame.note_input(weight_.value);
    frame.note_layout(batch ? of_batch : 0);
    frame.keep(1, channels()) = mean;
    frame.keep(1, channels()) = inverse;
    return frame;
  }

  std::string name_;
  double eps_;
  double momentum_;
  Parameter<T> weight_;
  Parameter<T> bias_;
  Parameter<T> mean_;
  Parameter<T> var_;
};

}  // namespace lora
