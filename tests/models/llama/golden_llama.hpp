#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <lora/io/safetensors/safetensors_reader.hpp>
#include <lora/models/common/causal_batch.hpp>

namespace lora::test {

/// Returns the folder of one of the models that tests/golden/make_golden_llama.py wrote.
[[nodiscard]] inline std::filesystem::path llama_data(const std::string& name) {
  return std::filesystem::path(LORA_GOLDEN_DIR) / "llama" / name;
}

/// What transformers and PEFT computed with one of them.
class GoldenLlama {
 public:
  explicit GoldenLlama(const std::string& name)
      : reader(llama_data(name) / "expected.safetensors"),
        ids(numbers("ids")),
        labels(numbers("labels")),
        batch(ids, std::vector<int>{12, 7}) {}

  /// Returns the numbers of that name as integers.
  [[nodiscard]] std::vector<int> numbers(const std::string& name) const {
    const Matrix<float> values = reader.read<float>(name);
    std::vector<int> numbers;
    for (Index i = 0; i < values.size(); ++i) numbers.push_back(static_cast<int>(values.data()[i]));
    return numbers;
  }

  io::SafetensorsReader reader;
  std::vector<int> ids, labels;
  models::CausalBatch batch;
};

}  // namespace lora::test
