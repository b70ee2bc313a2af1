#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <lora/io/safetensors/safetensors_reader.hpp>
#include <lora/layers/adapted_layer_ref.hpp>
#include <lora/layers/lora_linear.hpp>

namespace lora::test {

/// The network of tests/golden/adalora, in double: last(tanh(first(x))).
struct AdaLoRANet {
  AdaLoRANet() {
    first.set_name("first");
    last.set_name("last");
  }

  [[nodiscard]] static std::filesystem::path directory() { return LORA_GOLDEN_DIR "/adalora"; }

  /// Returns a tensor of run.safetensors as a matrix.
  [[nodiscard]] static Matrix<double> in_run(const std::string& name) {
    static const io::SafetensorsReader file(directory() / "run.safetensors");
    const MatrixShape size(file.tensor(name).shape);
    return file.read<double>(name, size.rows, size.cols);
  }

  [[nodiscard]] Matrix<double> forward(const Matrix<double>& x) const {
    Matrix<double> h, y;
    first.forward(x, h);
    last.forward(Matrix<double>(h.array().tanh()), y);
    return y;
  }

  /// Adds the gradients of the mean squared error, which it returns.
  double train(const Matrix<double>& x, const Matrix<double>& target) {
    Tape<double> tape;
    Matrix<double> h, y, dt;
    first.forward(x, tape, h);
    const Matrix<double> t = h.array().tanh();
    last.forward(t, tape, y);
    const Matrix<double> dy = 2 * (y - target) / static_cast<double>(y.size());
    last.backward(t, dy, tape, dt);
    const Matrix<double> dh = dt.array() * (1 - t.array().square());
    first.backward(x, dh, tape);
    return (y - target).squaredNorm() / static_cast<double>(y.size());
  }

  [[nodiscard]] std::vector<AdaptedLayerRef<double>> layers() { return {first, last}; }
  [[nodiscard]] ParameterList<double> parameters() { return parameters_of<double>(first, last); }

  LoRALinear<double> first{DenseWeight<double>(in_run("base.first.weight")),
                           Vector<double>(in_run("base.first.bias").transpose())};
  LoRALinear<double> last{DenseWeight<double>(in_run("base.last.weight")),
                          Vector<double>(in_run("base.last.bias").transpose())};
};

}  // namespace lora::test
