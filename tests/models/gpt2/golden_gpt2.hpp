#pragma once

#include <filesystem>
#include <string>

#include "models/common/golden_causal.hpp"

namespace lora::test {

/// Returns the folder of one of the models that tests/golden/make_golden_gpt2.py wrote.
[[nodiscard]] inline std::filesystem::path gpt2_data(const std::string& name) {
  return std::filesystem::path(LORA_GOLDEN_DIR) / "gpt2" / name;
}

/// What transformers and PEFT computed with one of them.
class GoldenGPT2 : public GoldenCausal {
 public:
  explicit GoldenGPT2(const std::string& name) : GoldenCausal(gpt2_data(name)) {}
};

}  // namespace lora::test
