#pragma once

#include <lora/io/safetensors/safetensors_reader.hpp>
#include <lora/layers/adapted_layer_ref.hpp>
#include <lora/layers/lora_linear.hpp>
#include <lora/nn/linear.hpp>
#include <lora/nn/relu.hpp>

namespace lora::test {

/// Is the small network of tests/golden/make_golden_io.py with an adapter on each of its encoder's
/// layers: classifier(relu(narrow(relu(wide(x))))), (5, 12) -> (5, 3).
template <class T>
struct GoldenNet {
  static std::filesystem::path adapters() { return LORA_GOLDEN_DIR "/io/adapters"; }

  explicit GoldenNet(const LoRAConfig& config = {})
      : wide(DenseWeight<T>(base().template read<T>("encoder.wide.weight")), config, 1,
             base().template read<T>("encoder.wide.bias").transpose()),
        narrow(DenseWeight<T>(base().template read<T>("encoder.narrow.weight")),
               without_bias(config), 2),
        classifier(3, 6, 3) {
    classifier.weight().value = base().template read<T>("classifier.weight");
    classifier.bias().value = base().template read<T>("classifier.bias");
    wide.set_name("encoder.wide");
    narrow.set_name("encoder.narrow");
    classifier.set_name("classifier");
  }

  [[nodiscard]] std::vector<AdaptedLayerRef<T>> slots() { return {wide, narrow}; }

  [[nodiscard]] Matrix<T> operator()(const Matrix<T>& x) const {
    Matrix<T> hidden, y;
    wide.forward(x, hidden);
    hidden = hidden.cwiseMax(T(0)).eval();
    Matrix<T> inner;
    narrow.forward(hidden, inner);
    inner = inner.cwiseMax(T(0)).eval();
    classifier.forward(inner, y);
    return y;
  }

  LoRALinear<T> wide, narrow;
  Linear<T> classifier;

 private:
  static const io::SafetensorsReader& base() {
    static const io::SafetensorsReader file(adapters() / "base.safetensors");
    return file;
  }

  static LoRAConfig without_bias(LoRAConfig config) {
    config.train_bias = false;
    return config;
  }
};

}  // namespace lora::test
