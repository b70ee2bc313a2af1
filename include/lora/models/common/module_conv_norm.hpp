#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "lora/io/batch_count.hpp"
#include "lora/io/safetensors/safetensors_writer.hpp"
#include "lora/layers/lora_conv2d.hpp"
#include "lora/models/common/model_builder.hpp"
#include "lora/models/common/model_parameters.hpp"
#include "lora/models/common/module_linear.hpp"
#include "lora/nn/batch_norm.hpp"
#include "lora/nn/conv2d.hpp"

namespace lora::models {

/// The names of a convolution and of the batch norm behind it.
struct ConvNormNames {
  std::string conv;
  std::string norm;
};

/// Their size.
struct ConvNormSizes {
  Index out = 0;
  Index in = 0;
  Window window = {};
  Index groups = 1;
};

/// A convolution of a model, frozen, with an adapter, or trained as a whole, and the batch norm
/// behind it, whose statistics stay as they are unless the builder says batch_statistics: a norm
/// that trains as a whole (PEFT's modules_to_save) stores them beside its weights, as PEFT does,
/// and takes those of a file. A norm that does not train is computed in the same pass as its
/// convolution.
template <class T, class Frozen>
class ModuleConvNorm {
 public:
  using Lora = LoRAConv2d<T, Frozen>;

  /// Loads both. Throws FileError and ConfigError.
  ModuleConvNorm(ModelBuilder<T>& builder, const ConvNormNames& names, const ConvNormSizes& sizes)
      : name_(names.conv),
        norm_plan_(builder.plan[names.norm]),
        batch_statistics_(builder.batch_statistics),
        conv_(make_conv(builder, names.conv, sizes)),
        norm_(load_norm(builder, names.norm, sizes.out)) {
    if (batch_statistics_ && norm_plan_.role != ModuleRole::trained)
      throw ConfigError(message("batch_statistics: \"", names.norm,
                                "\" does not train as a whole: its statistics would move and not "
                                "be stored"));
    norm_.set_name(names.norm);
    auto* const lora = std::get_if<Lora>(&conv_);
    apart_ = lora == nullptr || norm_trains();
    if (apart_) return;
    auto [scale, shift] = norm_.scale_and_shift();
    lora->set_norm(std::move(scale), std::move(shift));
  }

  /// Returns the size of y for images of size `in`.
  [[nodiscard]] ImageShape output_shape(const ImageShape& in) const {
    return std::visit([&](const auto& conv) { return conv.output_shape(in); }, conv_);
  }

  [[nodiscard]] Index out_channels() const {
    return std::visit([](const auto& conv) { return conv.out_channels(); }, conv_);
  }

  /// Computes y (pixels, out) for images x (in.rows(), in); with a tape with dropout, and it keeps
  /// what backward needs. With a pointer to AdapterRoutes each image has its adapter; a module that
  /// trains as a whole is shared by all. Without one the code of mixed batches is not compiled.
  template <class Routes = std::nullptr_t>
  void forward(ConstMatrixRef<T> x, const ImageShape& in, Tape<T>* tape, MatrixRef<T> y,
               Routes routes = nullptr) const {
    if (!apart_) return convolve(x, in, tape, y, routes);
    if (tape == nullptr) {
      convolve(x, in, nullptr, y, routes);
      return norm_.forward(y, y);
    }
    auto& frame = tape->push(this, name_, y.rows());
    const MatrixRef<T> z = frame.keep(y.rows(), y.cols());
    convolve(x, in, tape, z, routes);
    batch_statistics_ ? norm_.normalise_batch(z, *tape, y) : norm_.forward(z, *tape, y);
  }

  /// Tells whether backward writes over its dy.
  [[nodiscard]] bool uses_up_dy() const { return apart_; }

  /// Adds to the gradients of what trains and computes dx (in.rows(), in), or not where that is
  /// null. dy (pixels, out) is working memory afterwards, if uses_up_dy().
  void backward(ConstMatrixRef<T> x, const ImageShape& in, MatrixRef<T> dy, Tape<T>& tape,
                GradientTarget<T> target, const MatrixRef<T>* dx) const {
    if (apart_) norm_backward(tape, target, dy);
    std::visit(
        [&](const auto& conv) {
          dx == nullptr ? conv.backward(x, in, dy, tape, target)
                        : conv.backward(x, in, dy, tape, target, *dx);
        },
        conv_);
    if (!apart_) return;
    static_cast<void>(tape.top(this, dy.rows(), name_));
    tape.pop();
  }

  /// Moves the norm's statistics towards those of the forward on the tape, under batch_statistics.
  void move_statistics(Tape<T>& tape) {
    if (batch_statistics_) norm_.move_statistics(tape);
  }

  /// Adds what trains.
  void list(ModelParameters<T>& list) {
    if (auto* lora = std::get_if<Lora>(&conv_)) {
      list_lora_layer(*lora, list);
    } else {
      auto& conv = std::get<Conv2d<T>>(conv_);
      list.total += conv.weight().size() + conv.bias().size();
      for (Parameter<T>* parameter : conv.parameters()) list.add(*parameter);
    }
    list.total += norm_.weight().size() + norm_.bias().size();
    if (norm_plan_.role == ModuleRole::trained) {
      list.add(norm_.weight());
      for (Parameter<T>* statistics : norm_.statistics()) list.stored.add(*statistics);
    }
    if (norm_trains()) list.add(norm_.bias());
  }

  /// Adds the tensors of both as they are now, with the adapter in use merged, under PyTorch's
  /// names and in its shapes.
  void add_tensors(std::vector<io::Tensor>& tensors) {
    const Window& window = std::visit([](const auto& conv) { return conv.window(); }, conv_);
    const auto* const lora = std::get_if<Lora>(&conv_);
    if (lora != nullptr) static_cast<void>(lora->bias_in_use());  // throws for one to be merged
    const Matrix<T> weight = lora != nullptr ? lora->weight_in_use()
                                             : Matrix<T>(std::get<Conv2d<T>>(conv_).weight().value);
    tensors.push_back(io::make_tensor(name_ + ".weight", weight,
                                      {out_channels(), weight.cols() / window.taps(),
                                       window.kernel_height, window.kernel_width}));
    for (const Parameter<T>* parameter :
         {&norm_.weight(), &norm_.bias(), norm_.statistics()[0], norm_.statistics()[1]})
      tensors.push_back(io::make_tensor(parameter->name, parameter->value, parameter->shape()));
    tensors.push_back(io::batch_count(norm_.name()));
  }

  /// Calls action(layer) with the LoRAConv2d, if there is one with an adapter.
  template <class Action>
  void for_each_adapted(const Action& action) {
    if (auto* lora = std::get_if<Lora>(&conv_); lora != nullptr && lora->has_adapter())
      action(*lora);
  }

 private:
  using Conv = std::variant<Lora, Conv2d<T>>;

  [[nodiscard]] bool norm_trains() const {
    return norm_plan_.role == ModuleRole::trained || norm_plan_.train_bias;
  }

  static Conv make_conv(ModelBuilder<T>& builder, const std::string& name,
                        const ConvNormSizes& sizes) {
    const Window& window = sizes.window;
    Matrix<T> weight = builder.weights.tensor(
        name + ".weight",
        {sizes.out, sizes.in / sizes.groups, window.kernel_height, window.kernel_width});
    const ModulePlan plan = builder.plan[name];
    const std::uint64_t seed = builder.next_seed();
    if (plan.role == ModuleRole::trained) {
      if (sizes.groups > 1)
        throw ConfigError(message("\"", name, "\" is to train as a whole, and a convolution in ",
                                  sizes.groups, " groups only takes adapters"));
      Conv2d<T> conv(std::move(weight), window);
      conv.set_name(name);
      return conv;
    }
    Lora conv(weight, window, {}, Groups{sizes.groups});
    conv.set_name(name);
    if (plan.role != ModuleRole::adapted) return conv;
    require_rank(plan.lora.rank, name, sizes.out, sizes.in * window.taps());
    LoRAConfig config = plan.lora;
    config.train_bias = false;  // there is none
    conv.add_adapter(default_adapter, config, seed);
    return conv;
  }

  static BatchNorm<T> load_norm(ModelBuilder<T>& builder, const std::string& name, Index channels) {
    const auto row = [&](const char* part) {
      return Matrix<T>(builder.weights.vector(name + part, channels).transpose());
    };
    try {
      return BatchNorm<T>(
          {row(".weight"), row(".bias"), row(".running_mean"), row(".running_var")});
    } catch (const ConfigError& error) {
      throw FileError(message(builder.weights.path().string(), ": \"", name, "\": ", error.what()));
    }
  }

  template <class Routes>
  void convolve(ConstMatrixRef<T> x, const ImageShape& in, Tape<T>* tape, MatrixRef<T> y,
                [[maybe_unused]] Routes routes) const {
    if constexpr (!std::is_null_pointer_v<Routes>)
      if (const auto* const lora = std::get_if<Lora>(&conv_))
        return tape == nullptr ? lora->forward(x, in, *routes, y)
                               : lora->forward(x, in, *routes, *tape, y);
    std::visit(
        [&](const auto& conv) {
          tape == nullptr ? conv.forward(x, in, y) : conv.forward(x, in, *tape, y);
        },
        conv_);
  }

  void norm_backward(Tape<T>& tape, GradientTarget<T> target, MatrixRef<T> dy) const {
    const MatrixRef<T> z = tape.find(this, name_).kept();
    if (norm_plan_.role == ModuleRole::trained) return norm_.backward(z, dy, tape, target, dy);
    norm_.backward_to_bias(z, dy, tape, target, norm_trains(), dy);
  }

  std::string name_;
  ModulePlan norm_plan_;
  bool batch_statistics_;
  Conv conv_;
  BatchNorm<T> norm_;
  bool apart_ = false;  // or the convolution computes the norm too
};

}  // namespace lora::models
