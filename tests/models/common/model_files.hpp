#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <lora/io/safetensors/safetensors_writer.hpp>
#include <lora/models/common/model_builder.hpp>

#include "support/random_matrix.hpp"
#include "support/temporary_directory.hpp"

namespace lora::test {

/// A model's directory with tensors of the test's choice, and what modules are built from. The
/// tensors are all of double, so that tests see what was written.
class ModelFiles {
 public:
  /// Adds a weight (out, in) called `name`.weight and, unless told otherwise, its bias.
  void add_linear(const std::string& name, Index out, Index in, bool bias = true) {
    add(name + ".weight", random_matrix<double>(out, in, ++seed_), {out, in});
    if (bias) add(name + ".bias", random_matrix<double>(1, out, ++seed_), {out});
  }

  /// Adds a norm's gamma and beta called `name`.weight and .bias.
  void add_norm(const std::string& name, Index features) {
    const Matrix<double> gamma = random_matrix<double>(1, features, ++seed_);
    add(name + ".weight", Matrix<double>(gamma.array() * 0.2 + 1), {features});
    add(name + ".bias", random_matrix<double>(1, features, ++seed_), {features});
  }

  /// Adds any tensor.
  void add(const std::string& name, const Matrix<double>& matrix, io::Shape shape,
           io::DType dtype = io::DType::F64) {
    tensors_.push_back(io::make_tensor(name, matrix, std::move(shape), dtype));
    values_.emplace_back(name, matrix);
  }

  /// Returns what was added under that name.
  [[nodiscard]] const Matrix<double>& operator[](const std::string& name) const {
    for (const auto& [key, value] : values_)
      if (key == name) return value;
    throw std::out_of_range(name);
  }

  /// Writes model.safetensors and returns its directory.
  const std::filesystem::path& write() const {
    io::write_safetensors(*directory_ / "model.safetensors", tensors_);
    return directory_->path();
  }

 private:
  std::unique_ptr<TemporaryDirectory> directory_ = std::make_unique<TemporaryDirectory>();
  std::vector<io::Tensor> tensors_;
  std::vector<std::pair<std::string, Matrix<double>>> values_;
  std::uint64_t seed_ = 0;
};

/// Weights, plan and builder of modules that a test makes from ModelFiles.
struct Workbench {
  Workbench(const ModelFiles& files, const models::Tuning& tuning,
            const models::ModelOutline& outline)
      : weights(files.write()), plan(tuning, outline) {}

  models::PretrainedWeights<double> weights;
  models::TuningPlan plan;
  models::ModelBuilder<double> builder{weights, plan, 0.02, 7};
};

/// Returns an outline of linear modules of these names, "head" being a task's.
[[nodiscard]] inline models::ModelOutline linear_outline(const std::vector<std::string>& names) {
  models::ModelOutline outline;
  for (const std::string& name : names) {
    outline.modules.push_back({name, peft::ModuleKind::linear});
    if (name == "head") outline.head = name;
  }
  return outline;
}

/// Returns settings that adapt the modules of these names.
[[nodiscard]] inline peft::PeftConfig lora_of(std::vector<std::string> names, Index rank = 2) {
  peft::PeftConfig config;
  config.r = rank;
  config.lora_alpha = 3;
  config.target_modules = std::move(names);
  return config;
}

}  // namespace lora::test
