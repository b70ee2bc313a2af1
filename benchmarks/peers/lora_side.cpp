// This library's side of the comparison: see protocol.hpp for what it reads and answers.
//
// Variants of a layer are its frozen storages, "dense" and "packed"; the optimizer has one,
// "adamw".

#include <iostream>
#include <lora/frozen/dense_weight.hpp>
#include <lora/frozen/packed_weight.hpp>
#include <lora/optim/adamw.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "../machine.hpp"
#include "build_info.hpp"
#include "lora_layer_case.hpp"
#include "protocol.hpp"

namespace lora::bench {
namespace {

// Many small tensors, as the adapters of a model are: p.f32 and g.f32 hold them one after another.
class AdamWCase {
 public:
  AdamWCase(Index tensors, Index size, const std::string& folder)
      : optimizer_({.learning_rate = 1e-3}) {
    const Matrix<float> values = read_matrix(folder + "/p.f32", tensors, size);
    const Matrix<float> gradients = read_matrix(folder + "/g.f32", tensors, size);
    for (Index i = 0; i < tensors; ++i) {
      parameters_.emplace_back(message("tensor.", i), Matrix<float>(values.row(i)));
      parameters_.back().grad = gradients.row(i);
    }
    for (Parameter<float>& parameter : parameters_) list_.push_back(&parameter);
  }

  [[nodiscard]] Work work() {
    return {[] {}, [this] { optimizer_.step(list_); }};
  }

  void write(const std::string& folder) const {
    Matrix<float> values(static_cast<Index>(parameters_.size()), parameters_.front().size());
    for (Index i = 0; i < values.rows(); ++i)
      values.row(i) = parameters_[static_cast<std::size_t>(i)].value;
    write_matrix(folder + "/p.f32", values);
  }

 private:
  AdamW<float> optimizer_;
  std::vector<Parameter<float>> parameters_;
  std::vector<Parameter<float>*> list_;
};

class LoRASide {
  // Calls use(layer) with the layer of that storage, which is made when it is first asked for.
  template <class Use>
  auto with_layer(const std::string& variant, const Use& use) {
    if (variant == "dense") {
      if (!dense_) dense_.emplace(shape_);
      return use(*dense_);
    }
    if (variant == "packed") {
      if (!packed_) packed_.emplace(shape_);
      return use(*packed_);
    }
    throw std::runtime_error("no variant " + variant);
  }

 public:
  [[nodiscard]] static std::string info() {
    return message("{\"cpu\": \"", processor_name(), "\", \"compiler\": \"", compiler,
                   "\", \"flags\": \"", compiler_flags, "\", \"eigen\": \"", eigen_version(),
                   "\", \"simd\": \"", Eigen::SimdInstructionSetsInUse(), "\"}");
  }

  void set_up(const Settings& settings) {
    drop();
#ifdef _OPENMP
    omp_set_num_threads(static_cast<int>(settings.number("threads")));
#endif
    if (settings.text("kind") == "adamw") {
      adamw_.emplace(settings.number("tensors"), settings.number("size"), settings.text("folder"));
      return;
    }
    shape_ = {settings.number("tokens"), settings.number("in"), settings.number("out"),
              settings.number("rank"), settings.text("folder")};
  }

  [[nodiscard]] Work work(const std::string& operation, const std::string& variant) {
    if (variant == "adamw") return adamw_.value().work();
    return with_layer(variant, [&](auto& layer) { return layer.work(operation); });
  }

  void write(const std::string& operation, const std::string& variant, const std::string& folder) {
    if (variant == "adamw") return adamw_.value().write(folder);
    with_layer(variant, [&](auto& layer) { layer.write(operation, folder); });
  }

 private:
  void drop() {
    adamw_.reset();
    dense_.reset();
    packed_.reset();
  }

  LayerShape shape_;
  std::optional<AdamWCase> adamw_;
  std::optional<LoRALayerCase<DenseWeight<float>>> dense_;
  std::optional<LoRALayerCase<PackedWeight<float>>> packed_;
};

}  // namespace
}  // namespace lora::bench

int main() {
  lora::bench::LoRASide side;
  lora::bench::serve(side, std::cin, std::cout);
  return 0;
}
