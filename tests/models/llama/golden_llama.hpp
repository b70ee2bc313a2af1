#pragma once

#include <filesystem>
#include <string>

#include "models/common/golden_causal.hpp"

namespace lora::test {

/// Returns the folder of one of the models that tests/golden/make_golden_llama.py wrote.
[[nodiscard]] inline std::filesystem::path llama_data(const std::string& name) {
  return std::filesystem::path(LORA_GOLDEN_DIR) / "llama" / name;
}

/// What transformers and PEFT computed with one of them.
class GoldenLlama : public GoldenCausal {
 public:
  explicit GoldenLlama(const std::string& name) : GoldenCausal(llama_data(name)) {}
};

}  // namespace lora::test
