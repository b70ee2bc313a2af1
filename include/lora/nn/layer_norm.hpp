#pragma once

#include <algorithm>
#include <cmath>
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

/// Settings of a LayerNorm.
struct LayerNormConfig {
  double epsilon = 1e-5;   ///< added to the variance: PyTorch's default; BERT's files say 1e-12
  bool trainable = false;  ///< gamma and beta get gradients
};

/// A layer that normalises each row (Ba, Kiros, Hinton, "Layer normalization", 2016;
/// torch.nn.LayerNorm):
///
///     y = gamma (x - mean) r + beta,  r = 1 / sqrt(variance + epsilon)
///
/// x and y (N, D), gamma and beta (1, D), mean and variance (by D) over the row. gamma and beta are
/// frozen unless the configuration says otherwise: then only the gradient of x is computed.
///
/// Const calls may come from several threads at once, each with a tape and Gradients of its own. A
/// second call of the same shapes allocates nothing.
template <class T>
class LayerNorm {
 public:
  using Scalar = T;

  /// Takes gamma and beta, D elements each. Throws ShapeError where they are empty or differ, and
  /// ConfigError for an epsilon that is negative or not finite.
  LayerNorm(const Vector<T>& gamma, const Vector<T>& beta, const LayerNormConfig& config = {})
      : config_(config) {
    if (gamma.size() == 0 || gamma.size() != beta.size())
      throw ShapeError(message("LayerNorm: gamma has ", gamma.size(), " elements and beta ",
                               beta.size(), ", expected the same number of at least 1"));
    require_non_negative(config.epsilon, "LayerNorm", "epsilon");
    gamma_ = Parameter<T>("weight", Matrix<T>(gamma.transpose()), {gamma.size()});
    beta_ = Parameter<T>("bias", Matrix<T>(beta.transpose()), {beta.size()});
  }

  /// Computes y (N, D) for x (N, D). y may be x itself, but no other part of its memory. Throws
  /// ShapeError.
  void forward(ConstMatrixRef<T> x, Output<T> y) const {
    run(x, output_for(x, y), [](Index, T, T) {});
  }

  /// Computes the same and keeps each row's mean and r on the tape. y may be x itself only where
  /// backward_from_output is called instead of backward. Throws ShapeError.
  void forward(ConstMatrixRef<T> x, Tape<T>& tape, Output<T> y) const {
    MatrixRef<T> out = output_for(x, y);
    auto& frame =
        tape.push(this, name_.empty() ? std::string_view("a LayerNorm") : name_, x.rows());
    frame.note_input(x);  // before it is overwritten, where it is
    MatrixRef<T> kept = frame.keep(x.rows(), 2);
    run(x, out, [&kept](Index row, T mean, T r) {
      kept(row, 0) = mean;
      kept(row, 1) = r;
    });
    frame.note_input(out);
  }

  /// Computes, with z = (x - mean) r and g = dy gamma,
  ///
  ///     dx = r (g - mean(g) - z mean(g z)),
  ///
  /// and where trainable adds dgamma += sum over rows of dy z, dbeta += sum over rows of dy. x is
  /// the forward's or a copy, dx (N, D) may be dy or x itself, but no other part of their memory.
  /// Throws ShapeError and StateError, before anything changes.
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
    run_backward(x, dy, tape, gradients, &dx, {"LayerNorm::backward", name_}, from_input);
  }

  /// Does the same without the gradient of x.
  void backward(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, Tape<T>& tape,
                GradientTarget<T> gradients) const {
    run_backward(x, dy, tape, gradients, nullptr, {"LayerNorm::backward", name_}, from_input);
  }

  /// Does what backward does from the output, z = (y - beta) / gamma, so that x need not be kept: a
  /// sum of residuals can be normalised in place. Rounding in z grows with |beta / gamma|. y is the
  /// forward's or a copy, dx may be dy or y itself, but no other part of their memory. Throws
  /// StateError where invertible() is false, else as backward.
  void backward_from_output(ConstMatrixRef<T> y, ConstMatrixRef<T> dy, Tape<T>& tape,
                            Output<T> dx) {
    backward_from_output(y, dy, tape, GradientTarget<T>::own(), dx);
  }

  /// Does the same, and adds to `gradients` instead of the layer's own.
  void backward_from_output(ConstMatrixRef<T> y, ConstMatrixRef<T> dy, Tape<T>& tape,
                            GradientTarget<T> gradients, Output<T> dx) const {
    const Place where{"LayerNorm::backward_from_output", name_};
    if (!invertible())
      throw StateError(message(where, ": an element of gamma is too small to divide by"));
    run_backward(y, dy, tape, gradients, &dx, where, from_output);
  }

  /// Tells whether the input can be had back from the output within 1000 roundings:
  /// 1000 |gamma| >= max(1, |beta|) for each element.
  [[nodiscard]] bool invertible() const {
    return (gamma_.value.array().abs() * T(1000) >= beta_.value.array().abs().max(T(1))).all();
  }

  [[nodiscard]] Index features() const { return gamma_.value.cols(); }
  [[nodiscard]] Index in_features() const { return features(); }
  [[nodiscard]] Index out_features() const { return features(); }
  [[nodiscard]] const LayerNormConfig& config() const { return config_; }

  [[nodiscard]] Parameter<T>& gamma() { return gamma_; }
  [[nodiscard]] const Parameter<T>& gamma() const { return gamma_; }
  [[nodiscard]] Parameter<T>& beta() { return beta_; }
  [[nodiscard]] const Parameter<T>& beta() const { return beta_; }

  [[nodiscard]] const std::string& name() const { return name_; }

  /// Names the layer; gamma and beta are then `name.weight` and `name.bias`, as in PyTorch.
  void set_name(const std::string& name) {
    name_ = name;
    gamma_.name = parameter_name(name, "weight");
    beta_.name = parameter_name(name, "bias");
  }

  /// Lists gamma and beta where trainable, nothing otherwise.
  [[nodiscard]] ParameterList<T> parameters() {
    ParameterList<T> list;
    if (!config_.trainable) return list;
    list.add(gamma_);
    list.add(beta_);
    return list;
  }

 private:
  // What backward has z from: the input, or the output.
  struct FromInput {
    static constexpr std::size_t mark = 0;  // of the tape's frame
    static constexpr const char* name = "x";

    // Makes the function from (x, gamma, beta) to z for a row of this mean and r.
    auto operator()(T mean, T r) const {
      namespace ei = Eigen::internal;
      const auto scale = ei::pset1<Packet<T>>(r), center = ei::pset1<Packet<T>>(mean);
      return [scale, center](const Packet<T>& v, const Packet<T>&, const Packet<T>&) {
        return ei::pmul(ei::psub(v, center), scale);
      };
    }
  };
  struct FromOutput {
    static constexpr std::size_t mark = 1;
    static constexpr const char* name = "y";

    // Makes the function from (y, gamma, beta) to z.
    auto operator()(T, T) const {
      namespace ei = Eigen::internal;
      return [](const Packet<T>& v, const Packet<T>& gamma, const Packet<T>& beta) {
        return ei::pdiv(ei::psub(v, beta), gamma);
      };
    }
  };
  static constexpr FromInput from_input{};
  static constexpr FromOutput from_output{};

  [[nodiscard]] MatrixRef<T> output_for(const ConstMatrixRef<T>& x, const Output<T>& y) const {
    const Place where{"LayerNorm::forward", name_};
    require_cols(x, features(), where, "x", "features");
    return y.shaped_elementwise(x.rows(), features(), where, "y", {x});
  }

  // Each row is read from memory once: it stays in the first-level cache for the second and third
  // pass. Two passes for the variance, because a sum of squares loses digits.
  template <class Keep>
  void run(ConstMatrixRef<T> x, MatrixRef<T> y, const Keep& keep) const {
    namespace ei = Eigen::internal;
    const Index d = features();
    const T* gamma = gamma_.value.data();
    const T* beta = beta_.value.data();
    for_each_row(x.rows(), d, 16, [&](Index row) {
      const T* in = x.data() + row * x.outerStride();
      const T mean = packets::sum<T>(
                         d, [](const Packet<T>& v) { return v; }, in) /
                     static_cast<T>(d);
      const auto center = ei::pset1<Packet<T>>(mean);
      const T variance = packets::sum<T>(
                             d,
                             [&](const Packet<T>& v) {
                               const Packet<T> from_mean = ei::psub(v, center);
                               return ei::pmul(from_mean, from_mean);
                             },
                             in) /
                         static_cast<T>(d);
      using std::sqrt;
      const T r = T(1) / sqrt(variance + static_cast<T>(config_.epsilon));
      keep(row, mean, r);
      const auto scale = ei::pset1<Packet<T>>(r);
      packets::transform(
          d, y.data() + row * y.outerStride(),
          [&](const Packet<T>& v, const Packet<T>& g, const Packet<T>& b) {
            return ei::pmadd(ei::pmul(ei::psub(v, center), scale), g, b);
          },
          in, gamma, beta);
    });
  }

  // `source` is what `normalise` starts from. There may be no dx to compute.
  template <class Normalise>
  void run_backward(ConstMatrixRef<T> source, ConstMatrixRef<T> dy, Tape<T>& tape,
                    GradientTarget<T> gradients, const Output<T>* dx, const Place& where,
                    const Normalise& normalise) const {
    const Index n = dy.rows(), d = features();
    require_shape(source, n, d, where, Normalise::name, {}, "features");
    require_cols(dy, d, where, "dy", "features");
    auto& frame = tape.top(this, n, where);
    frame.mark(Normalise::mark).require_elements(source, where, Normalise::name);
    const MatrixRef<T> kept = frame.kept();
    MatrixRef<T> out(nullptr, 0, 0, 0);
    const auto shape_dx = [&] {
      if (dx != nullptr)
        std::construct_at(&out, dx->shaped_elementwise(n, d, where, "dx", {source, dy}));
    };
    if (config_.trainable) {
      MatrixRef<T> dgamma = gradients.of(gamma_), dbeta = gradients.of(beta_);
      shape_dx();
      // First, because dx may be dy.
      add_parameter_gradients(source, dy, kept, normalise, dgamma.data(), dbeta.data());
    } else {
      shape_dx();
    }
    if (dx != nullptr) input_gradient(source, dy, kept, normalise, out);
    tape.pop();
  }

  template <class Normalise>
  void input_gradient(ConstMatrixRef<T> source, ConstMatrixRef<T> dy, ConstMatrixRef<T> kept,
                      const Normalise& normalise, MatrixRef<T> dx) const {
    namespace ei = Eigen::internal;
    const Index n = dy.rows(), d = features();
    const T* gamma = gamma_.value.data();
    const T* beta = beta_.value.data();
    for_each_row(n, d, 16, [&](Index row) {
      const T* in = source.data() + row * source.outerStride();
      const T* upstream = dy.data() + row * dy.outerStride();
      const T r = kept(row, 1);
      const auto z = normalise(kept(row, 0), r);
      const T mean_g = packets::sum<T>(
                           d, [](const Packet<T>& u, const Packet<T>& g) { return ei::pmul(u, g); },
                           upstream, gamma) /
                       static_cast<T>(d);
      const T mean_g_z =
          packets::sum<T>(
              d,
              [&](const Packet<T>& v, const Packet<T>& u, const Packet<T>& g, const Packet<T>& b) {
                return ei::pmul(ei::pmul(u, g), z(v, g, b));
              },
              in, upstream, gamma, beta) /
          static_cast<T>(d);
      const auto center = ei::pset1<Packet<T>>(mean_g), slope = ei::pset1<Packet<T>>(-mean_g_z),
                 scale = ei::pset1<Packet<T>>(r);
      packets::transform(
          d, dx.data() + row * dx.outerStride(),
          [&](const Packet<T>& v, const Packet<T>& u, const Packet<T>& g, const Packet<T>& b) {
            const Packet<T> inner = ei::psub(ei::pmul(u, g), center);
            return ei::pmul(scale, ei::pmadd(slope, z(v, g, b), inner));
          },
          in, upstream, gamma, beta);
    });
  }

  // Blocks of columns, each down all rows, so that the sums have one order.
  template <class Normalise>
  void add_parameter_gradients(ConstMatrixRef<T> source, ConstMatrixRef<T> dy,
                               ConstMatrixRef<T> kept, const Normalise& normalise, T* dgamma_all,
                               T* dbeta_all) const {
    namespace ei = Eigen::internal;
    constexpr Index width = 64;
    const Index n = dy.rows(), d = features(), tasks = (d + width - 1) / width;
    const double work = 16 * static_cast<double>(n) * static_cast<double>(d);
    parallel_for(tasks, threads_for(tasks, work), [&](Index task) {
      const Index first = task * width, count = std::min(width, d - first);
      const T* gamma = gamma_.value.data() + first;
      const T* beta = beta_.value.data() + first;
      T* dgamma = dgamma_all + first;
      T* dbeta = dbeta_all + first;
      for (Index row = 0; row < n; ++row) {
        const T* in = source.data() + row * source.outerStride() + first;
        const T* upstream = dy.data() + row * dy.outerStride() + first;
        const auto z = normalise(kept(row, 0), kept(row, 1));
        packets::transform(
            count, dgamma,
            [&](const Packet<T>& sum, const Packet<T>& u, const Packet<T>& v, const Packet<T>& g,
                const Packet<T>& b) { return ei::pmadd(u, z(v, g, b), sum); },
            dgamma, upstream, in, gamma, beta);
        packets::transform(
            count, dbeta, [](const Packet<T>& sum, const Packet<T>& u) { return ei::padd(sum, u); },
            dbeta, upstream);
      }
    });
  }

  LayerNormConfig config_;
  std::string name_;
  Parameter<T> gamma_;
  Parameter<T> beta_;
};

}  // namespace lora
