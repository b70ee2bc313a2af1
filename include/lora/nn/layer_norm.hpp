#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <type_traits>

#include "lora/core/elementwise.hpp"
#include "lora/core/finite.hpp"
#include "lora/core/matrix.hpp"
#include "lora/core/parameter_list.hpp"
#include "lora/core/tape.hpp"

namespace lora {

/// Sets up a LayerNorm.
struct LayerNormConfig {
  double epsilon = 1e-5;   ///< added to the variance: PyTorch's default; BERT's files say 1e-12
  bool trainable = false;  ///< gamma and beta get gradients
};

/// Normalises each row (Ba, Kiros, Hinton, "Layer normalization", 2016; torch.nn.LayerNorm):
///
///     y = gamma (x - mean) r + beta,  r = 1 / sqrt(variance + epsilon)
///
/// x and y (N, D), gamma and beta (1, D), mean and variance (by D) over the row. gamma and beta are
/// frozen unless the configuration says otherwise: then only the gradient of x is computed. A
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
    if (!(is_finite(config.epsilon) && config.epsilon >= 0))
      throw ConfigError(message("LayerNorm: epsilon is ", config.epsilon,
                                ", expected a finite number of at least 0"));
    gamma_ = Parameter<T>("weight", Matrix<T>(gamma.transpose()), {gamma.size()});
    beta_ = Parameter<T>("bias", Matrix<T>(beta.transpose()), {beta.size()});
  }

  /// Computes y, which is resized to (N, D) and may be x itself. Throws ShapeError.
  void forward(ConstMatrixRef<T> x, Matrix<T>& y) const {
    require_cols(x, features(), "LayerNorm::forward", "x", "features");
    run(x, y, [](Index, T, T) {});
  }

  /// Computes the same and keeps each row's mean and r on the tape. y may be x itself only where
  /// backward_from_output is called instead of backward. Throws ShapeError.
  void forward(ConstMatrixRef<T> x, Tape<T>& tape, Matrix<T>& y) const {
    require_cols(x, features(), "LayerNorm::forward", "x", "features");
    MatrixRef<T> kept = tape.push(this, "LayerNorm", x.rows()).keep(x.rows(), 2);
    run(x, y, [&kept](Index row, T mean, T r) {
      kept(row, 0) = mean;
      kept(row, 1) = r;
    });
  }

  /// Computes, with z = (x - mean) r and g = dy gamma,
  ///
  ///     dx = r (g - mean(g) - z mean(g z)),
  ///
  /// and where trainable adds dgamma += sum over rows of dy z, dbeta += sum over rows of dy. dx is
  /// resized to (N, D) and may be dy or x itself. Throws ShapeError and StateError, before anything
  /// changes.
  void backward(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, Tape<T>& tape, Matrix<T>& dx) {
    require_shape(x, dy.rows(), features(), "LayerNorm::backward", "x");
    finish_backward(x, dy, tape, dx, "LayerNorm::backward", from_input);
  }

  /// Does the same without the gradient of x.
  void backward(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, Tape<T>& tape) {
    constexpr const char* where = "LayerNorm::backward";
    require_shape(x, dy.rows(), features(), where, "x");
    require_cols(dy, features(), where, "dy", "features");
    const MatrixRef<T> kept = tape.top(this, dy.rows(), where).kept();
    if (config_.trainable) add_parameter_gradients(x, dy, kept, from_input);
    tape.pop();
  }

  /// Does what backward does from the output, z = (y - beta) / gamma, so that x need not be kept: a
  /// sum of residuals can be normalised in place. Rounding in z grows with |beta / gamma|; throws
  /// StateError where invertible() is false, else as backward. dx may be dy but not y.
  void backward_from_output(ConstMatrixRef<T> y, ConstMatrixRef<T> dy, Tape<T>& tape,
                            Matrix<T>& dx) {
    constexpr const char* where = "LayerNorm::backward_from_output";
    require_shape(y, dy.rows(), features(), where, "y");
    if (!invertible())
      throw StateError(message(where, ": an element of gamma is too small to divide by"));
    finish_backward(y, dy, tape, dx, where, from_output);
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

  /// Names the layer; gamma and beta are then `name.weight` and `name.bias`, as in PyTorch.
  void set_name(const std::string& name) {
    gamma_.name = name.empty() ? "weight" : name + ".weight";
    beta_.name = name.empty() ? "bias" : name + ".bias";
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
  // Makes the function from (x, gamma, beta) to z for a row of this mean and r.
  static constexpr auto from_input = [](T mean, T r) {
    namespace ei = Eigen::internal;
    const auto scale = ei::pset1<Packet<T>>(r), center = ei::pset1<Packet<T>>(mean);
    return [scale, center](const Packet<T>& v, const Packet<T>&, const Packet<T>&) {
      return ei::pmul(ei::psub(v, center), scale);
    };
  };

  // Makes the function from (y, gamma, beta) to z.
  static constexpr auto from_output = [](T, T) {
    namespace ei = Eigen::internal;
    return [](const Packet<T>& v, const Packet<T>& gamma, const Packet<T>& beta) {
      return ei::pdiv(ei::psub(v, beta), gamma);
    };
  };

  // Each row is read from memory once: it stays in the first-level cache for the second and third
  // pass. Two passes for the variance, because a sum of squares loses digits.
  template <class Keep>
  void run(ConstMatrixRef<T> x, Matrix<T>& y, const Keep& keep) const {
    namespace ei = Eigen::internal;
    const Index d = features();
    y.resize(x.rows(), d);
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
          d, y.data() + row * d,
          [&](const Packet<T>& v, const Packet<T>& g, const Packet<T>& b) {
            return ei::pmadd(ei::pmul(ei::psub(v, center), scale), g, b);
          },
          in, gamma, beta);
    });
  }

  // `source` is x or y, and `normalise` from_input or from_output.
  template <class Normalise>
  void finish_backward(ConstMatrixRef<T> source, ConstMatrixRef<T> dy, Tape<T>& tape, Matrix<T>& dx,
                       const char* where, const Normalise& normalise) {
    namespace ei = Eigen::internal;
    const Index n = dy.rows(), d = features();
    require_cols(dy, d, where, "dy", "features");
    const MatrixRef<T> kept = tape.top(this, n, where).kept();
    // First, because dx may be dy.
    if (config_.trainable) add_parameter_gradients(source, dy, kept, normalise);
    dx.resize(n, d);
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
          d, dx.data() + row * d,
          [&](const Packet<T>& v, const Packet<T>& u, const Packet<T>& g, const Packet<T>& b) {
            const Packet<T> inner = ei::psub(ei::pmul(u, g), center);
            return ei::pmul(scale, ei::pmadd(slope, z(v, g, b), inner));
          },
          in, upstream, gamma, beta);
    });
    tape.pop();
  }

  // Blocks of columns, each down all rows, so that the sums have one order.
  template <class Normalise>
  void add_parameter_gradients(ConstMatrixRef<T> source, ConstMatrixRef<T> dy,
                               ConstMatrixRef<T> kept, const Normalise& normalise) {
    namespace ei = Eigen::internal;
    constexpr Index width = 64;
    const Index n = dy.rows(), d = features(), tasks = (d + width - 1) / width;
    const double work = 16 * static_cast<double>(n) * static_cast<double>(d);
    parallel_for(tasks, threads_for(tasks, work), [&](Index task) {
      const Index first = task * width, count = std::min(width, d - first);
      const T* gamma = gamma_.value.data() + first;
      const T* beta = beta_.value.data() + first;
      T* dgamma = gamma_.grad.data() + first;
      T* dbeta = beta_.grad.data() + first;
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
  Parameter<T> gamma_;
  Parameter<T> beta_;
};

}  // namespace lora
