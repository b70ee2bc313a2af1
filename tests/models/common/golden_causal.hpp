#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <lora/io/safetensors/safetensors_reader.hpp>
#include <lora/models/common/causal_batch.hpp>

namespace lora::test {

/// What transformers and PEFT computed with a language model, for two texts of 12 and 7 tokens:
/// expected.safetensors of its folder under tests/golden.
class GoldenCausal {
 public:
  explicit GoldenCausal(const std::filesystem::path& folder)
      : reader(folder / "expected.safetensors"),
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
