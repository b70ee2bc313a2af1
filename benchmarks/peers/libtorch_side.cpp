// The side of PyTorch's C++ API: see protocol.hpp for what it reads and answers. A LoRA layer as a
// C++ user would write it, in the fewest calls: addmm_ adds the low-rank part in place, so nothing
// of the size of y is made twice. The one variant is "cpp".

#include <ATen/Parallel.h>
#include <torch/torch.h>
#include <torch/version.h>

#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "protocol.hpp"
#include "raw_file.hpp"

namespace lora::bench {
namespace {

torch::Tensor read_tensor(const std::string& file, long rows, long cols) {
  torch::Tensor tensor = torch::empty({rows, cols});
  read_floats(file, tensor.data_ptr<float>(), static_cast<std::size_t>(tensor.numel()));
  return tensor;
}

void write_tensor(const std::string& file, const torch::Tensor& tensor) {
  const torch::Tensor rows = tensor.detach().contiguous();
  write_floats(file, rows.data_ptr<float>(), static_cast<std::size_t>(rows.numel()));
}

class LayerCase {
 public:
  explicit LayerCase(const Settings& settings)
      : scaling_(2),  // alpha = 2 rank
        folder_(settings.text("folder")) {
    const long tokens = settings.number("tokens"), in = settings.number("in"),
               out = settings.number("out"), rank = settings.number("rank");
    x_ = read_tensor(folder_ + "/x.f32", tokens, in).requires_grad_();
    dy_ = read_tensor(folder_ + "/dy.f32", tokens, out);
    w_ = read_tensor(folder_ + "/w.f32", out, in);
    a_ = read_tensor(folder_ + "/a.f32", rank, in).requires_grad_();
    b_ = read_tensor(folder_ + "/b.f32", out, rank).requires_grad_();
  }

  [[nodiscard]] Work work(const std::string& operation) {
    const auto nothing = [] {};
    if (operation == "forward")
      return {nothing, [this] {
                const c10::InferenceMode inference;
                y_ = forward();
              }};
    if (operation == "forward_off" || operation == "product")
      return {nothing, [this] {
                const c10::InferenceMode inference;
                y_ = torch::linear(x_, w_);
              }};
    if (operation == "train") return {nothing, [this] { step(forward()); }};
    if (operation == "frozen_step") return {nothing, [this] { step(torch::linear(x_, w_)); }};
    if (operation == "merge") return {[this] { restore(); }, [this] { merge(); }};
    throw std::runtime_error("no operation " + operation);
  }

  void write(const std::string& operation, const std::string& folder) {
    if (operation == "merge") {
      write_tensor(folder + "/w.f32", w_);
      return;
    }
    write_tensor(folder + "/y.f32", y_);
    if (operation == "train" || operation == "frozen_step")
      write_tensor(folder + "/dx.f32", x_.grad());
    if (operation != "train") return;
    write_tensor(folder + "/da.f32", a_.grad());
    write_tensor(folder + "/db.f32", b_.grad());
  }

 private:
  [[nodiscard]] torch::Tensor forward() const {
    return torch::linear(x_, w_).addmm_(torch::linear(x_, a_), b_.t(), 1, scaling_);
  }

  void step(const torch::Tensor& y) {
    x_.mutable_grad() = a_.mutable_grad() = b_.mutable_grad() = torch::Tensor();
    y.backward(dy_);
    y_ = y;
  }

  void merge() {
    const torch::NoGradGuard no_grad;
    w_.addmm_(b_, a_, 1, scaling_);
  }

  void restore() {
    read_floats(folder_ + "/w.f32", w_.data_ptr<float>(), static_cast<std::size_t>(w_.numel()));
  }

  double scaling_;
  std::string folder_;
  torch::Tensor x_, dy_, w_, a_, b_, y_;
};

class AdamWCase {
 public:
  explicit AdamWCase(const Settings& settings) {
    const long tensors = settings.number("tensors"), size = settings.number("size");
    const std::string folder = settings.text("folder");
    const torch::Tensor values = read_tensor(folder + "/p.f32", tensors, size);
    const torch::Tensor gradients = read_tensor(folder + "/g.f32", tensors, size);
    for (long i = 0; i < tensors; ++i) {
      parameters_.push_back(values[i].clone().requires_grad_());
      parameters_.back().mutable_grad() = gradients[i].clone();
    }
    optimizer_ = std::make_unique<torch::optim::AdamW>(
        parameters_, torch::optim::AdamWOptions(1e-3).weight_decay(1e-2));
  }

  [[nodiscard]] Work work() {
    return {[] {}, [this] { optimizer_->step(); }};
  }

  void write(const std::string& folder) const {
    write_tensor(folder + "/p.f32", torch::stack(parameters_));
  }

 private:
  std::vector<torch::Tensor> parameters_;
  std::unique_ptr<torch::optim::AdamW> optimizer_;
};

class LibtorchSide {
 public:
  [[nodiscard]] static std::string info() {
    return std::string("{\"libtorch\": \"") + TORCH_VERSION + "\"}";
  }

  void set_up(const Settings& settings) {
    layer_.reset();
    adamw_.reset();
    at::set_num_threads(static_cast<int>(settings.number("threads")));
    if (settings.text("kind") == "adamw")
      adamw_ = std::make_unique<AdamWCase>(settings);
    else
      layer_ = std::make_unique<LayerCase>(settings);
  }

  [[nodiscard]] Work work(const std::string& operation, const std::string& variant) {
    if (variant != "cpp") throw std::runtime_error("no variant " + variant);
    return adamw_ ? adamw_->work() : layer_->work(operation);
  }

  void write(const std::string& operation, const std::string&, const std::string& folder) {
    if (adamw_)
      adamw_->write(folder);
    else
      layer_->write(operation, folder);
  }

 private:
  std::unique_ptr<LayerCase> layer_;
  std::unique_ptr<AdamWCase> adamw_;
};

}  // namespace
}  // namespace lora::bench

int main() {
  lora::bench::LibtorchSide side;
  lora::bench::serve(side, std::cin, std::cout);
  return 0;
}
