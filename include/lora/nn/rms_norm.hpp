#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <string_view>

#include "lora/core/elementwise.hpp"
#include "lora/core/gradients.hpp"
#include "lora/core/number_checks.hpp"
#include "lora/core/output.hpp"
#include "lora/core/parameter_name.hpp"
#include "lora/core/place.hpp"
#include "lora/core/tape.hpp"

namespace lora {

/// Settings of an RMSNorm.
struct RMSNormConfig {
  double epsilon = 1e-6;         ///< added to the mean square: Llama's files say 1e-5 or 1e-6
  bool trainable = false;        ///< the weight gets a gradient
  bool weight_plus_one = false;  ///< scales by 1 + w instead of w, as Gemma does
};

/// A layer that divides each row by its root mean square (Zhang and Sennrich, "Root mean square
/// layer normalization", 2019; transformers' LlamaRMSNorm and, with weight_plus_one, GemmaRMSNorm):
///
///     y = w x r,  r = 1 / sqrt(mean(x^2) + epsilon)
///
/// x and y (N, D), w (1, D), the mean over a row. w is frozen unless the configuration says
/// otherwise: then only the gradient of x is computed.
///
/// Const calls may come from several threads at once, each with a tape and Gradients of its own. A
/// second call of the same shapes allocates nothing.
template <class T>
class RMSNorm {
 public:
  using Scalar = T;

  /// Takes w, D elements. Throws ShapeError where it is empty, ConfigError for an epsilon that is
  /// negative or not finite.
  explicit RMSNorm(const Vector<T>& weight, const RMSNormConfig& config = {}) : config_(config) {
    if (weight.size() == 0) throw ShapeError("RMSNorm: weight has 0 elements, expected at least 1");
    require_non_negative(config.epsilon, "RMSNorm", "epsilon");
    weight_ = Parameter<T>("weight", Matrix<T>(weight.transpose()), {weight.size()});
  }

  /// Computes y (N, D) for x (N, D). y may be x itself, but no other part of its memory. Throws
  /// ShapeError.
  void forward(ConstMatrixRef<T> x, Output<T> y) const {
    const Place where{"RMSNorm::forward", name_};
    require_cols(x, features(), where, "x", "features");
    run(x, y.shaped_elementwise(x.rows(), features(), where, "y", {x}), [](Index, T) {});
  }

  /// Computes the same and keeps each row's r on the tape. Backward needs x, so y is no part of it.
  /// Throws ShapeError.
  void forward(ConstMatrixRef<T> x, Tape<T>& tape, Output<T> y) const {
    const Place where{"RMSNorm::forward", name_};
    require_cols(x, features(), where, "x", "features");
    MatrixRef<T> out = y.shaped(x.rows(), features(), where, "y", {x});
    auto& frame = tape.push(this, name_.empty() ? std::string_view("an RMSNorm") : name_, x.rows());
    frame.note_input(x);
    MatrixRef<T> kept = frame.keep(x.rows(), 1);
    run(x, out, [&kept](Index row, T r) { kept(row, 0) = r; });
  }

  /// Computes, with z = x r and g = dy w,
  ///
  ///     dx = r (g - z mean(g z)),
  ///
  /// and where trainable adds dw += sum over rows of dy z. x is the forward's or a copy, dx (N, D)
  /// may be dy or x itself, but no other part of their memory. Throws ShapeError and StateError,
  /// before anything changes.
  void backward(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, Tape<T>& tape, Output<T> dx) {
    backward(x, dy, tape, GradientTarget<T>::own(), dx);
  }

  /// Does the same without the gradient of x.
  void backward(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, Tape<T>& tape) {
    backward(x, dy, tape, GradientTarget<T>::own());
  }

  /// Computes dx, and adds to `gradients` instead of the layer's own: a `Gradients<T>`, one for
  /// each thread that trains this layer.
  void backward(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, Tape<T>& tape,
                GradientTarget<T> gradients, Output<T> dx) const {
    run_backward(x, dy, tape, gradients, &dx);
  }

  /// Does the same without the gradient of x.
  void backward(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, Tape<T>& tape,
                GradientTarget<T> gradients) const {
    run_backward(x, dy, tape, gradients, nullptr);
  }

  [[nodiscard]] Index features() const { return weight_.value.cols(); }
  [[nodiscard]] Index in_features() const { return features(); }
  [[nodiscard]] Index out_features() const { return features(); }
  [[nodiscard]] const RMSNormConfig& config() const { return config_; }

  [[nodiscard]] Parameter<T>& weight() { return weight_; }
  [[nodiscard]] const Parameter<T>& weight() const { return weight_; }

  [[nodiscard]] const std::string& name() const { return name_; }

  /// Names the layer; w is then `name.weight`, as in PyTorch.
  void set_name(const std::string& name) {
    name_ = name;
    weight_.name = parameter_name(name, "weight");
  }

  /// Lists w where trainable, nothing otherwise.
  [[nodiscard]] ParameterList<T> parameters() {
    ParameterList<T> list;
    if (config_.trainable) list.add(weight_);
    return list;
  }

 private:
  // What is added to w.
  [[nodiscard]] Packet<T> offset() const {
    return Eigen::internal::pset1<Packet<T>>(config_.weight_plus_one ? T(1) : T(0));
  }

  // Each row is read from memory once: it stays in the first-level cache for the second pass.
  template <class Keep>
  void run(ConstMatrixRef<T> x, MatrixRef<T> y, const Keep& keep) const {
    namespace ei = Eigen::internal;
    const Index d = features();
    const T* weight = weight_.value.data();
    const Packet<T> one_or_zero = offset();
    for_each_row(x.rows(), d, 16, [&](Index row) {
      const T* in = x.data() + row * x.outerStride();
      const T mean_square = packets::sum<T>(
                                d, [](const Packet<T>& v) { return ei::pmul(v, v); }, in) /
                            static_cast<T>(d);
      using std::sqrt;
      const T r = T(1) / sqrt(mean_square + static_cast<T>(config_.epsilon));
      keep(row, r);
      const auto scale = ei::pset1<Packet<T>>(r);
      packets::transform(
          d, y.data() + row * y.outerStride(),
          [&](const Packet<T>& v, const Packet<T>& w) {
            return ei::pmul(ei::padd(w, one_or_zero), ei::pmul(v, scale));
          },
          in, weight);
    });
  }

  // There may be no dx to compute.
  void run_backward(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, Tape<T>& tape,
                    GradientTarget<T> gradients, const Output<T>* dx) const {
    const Place where{"RMSNorm::backward", name_};
    const Index n = dy.rows(), d = features();
    require_shape(x, n, d, where, "x", {}, "features");
    require_cols(dy, d, where, "dy", "features");
    auto& frame = tape.top(this, n, where);
    frame.mark(0).require_elements(x, where, "x");
    MatrixRef<T> dw(nullptr, 0, 0, 0), out(nullptr, 0, 0, 0);
    if (config_.trainable) std::construct_at(&dw, gradients.of(weight_));
    if (dx != nullptr) std::construct_at(&out, dx->shaped_elementwise(n, d, where, "dx", {x, dy}));
    // First, because dx may be x or dy.
    if (config_.trainable) add_weight_gradient(x, dy, frame.kept(), dw.data());
    if (dx != nullptr) input_gradient(x, dy, frame.kept(), out);
    tape.pop();
  }

  void input_gradient(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, ConstMatrixRef<T> kept,
                      MatrixRef<T> dx) const {
    namespace ei = Eigen::internal;
    const Index d = features();
    const T* weight = weight_.value.data();
    const Packet<T> one_or_zero = offset();
    for_each_row(dy.rows(), d, 16, [&](Index row) {
      const T* in = x.data() + row * x.outerStride();
      const T* upstream = dy.data() + row * dy.outerStride();
      const T r = kept(row, 0);
      const auto g = [&](const Packet<T>& u, const Packet<T>& w) {
        return ei::pmul(u, ei::padd(w, one_or_zero));
      };
      const T mean_g_x = packets::sum<T>(
                             d,
                             [&](const Packet<T>& v, const Packet<T>& u, const Packet<T>& w) {
                               return ei::pmul(g(u, w), v);
                             },
                             in, upstream, weight) /
                         static_cast<T>(d);
      const auto scale = ei::pset1<Packet<T>>(r), slope = ei::pset1<Packet<T>>(-r * r * mean_g_x);
      packets::transform(
          d, dx.data() + row * dx.outerStride(),
          [&](const Packet<T>& v, const Packet<T>& u, const Packet<T>& w) {
            return ei::pmul(scale, ei::pmadd(slope, v, g(u, w)));
          },
          in, upstream, weight);
    });
  }

  // Blocks of columns, each down all rows, so that the sums have one order.
  void add_weight_gradient(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, ConstMatrixRef<T> kept,
                           T* dw) const {
    namespace ei = Eigen::internal;
    constexpr Index width = 64;
    const Index n = dy.rows(), d = features(), tasks = (d + width - 1) / width;
    const double work = 16 * static_cast<double>(n) * static_cast<double>(d);
    parallel_for(tasks, threads_for(tasks, work), [&](Index task) {
      const Index first = task * width, count = std::min(width, d - first);
      for (Index row = 0; row < n; ++row) {
        const auto scale = ei::pset1<Packet<T>>(kept(row, 0));
        packets::transform(
            count, dw + first,
            [&](const Packet<T>& sum, const Packet<T>& u, const Packet<T>& v) {
              return ei::pmadd(u, ei::pmul(v, scale), sum);
            },
            dw + first, dy.data() + row * dy.outerStride() + first,
            x.data() + row * x.outerStride() + first);
      }
    });
  }

  RMSNormConfig config_;
  std::string name_;
  Parameter<T> weight_;
};

}  // namespace lora
