#pragma once

#include <lora/lora.hpp>
#include <lora/models.hpp>
#include <string>

namespace textgen {

/// The families of models that this program takes. Weights lie in bfloat16, as most language models
/// come: half the memory, and twice the speed of writing. Arithmetic and what trains are float.
struct Llama {
  using Model = lora::models::LlamaModel<float, lora::HalfWeight<float>>;
  using Options = lora::models::LlamaOptions;
  using Source = lora::models::LlamaSource<float>;
};

struct GPT2 {
  using Model = lora::models::GPT2Model<float, lora::HalfWeight<float>>;
  using Options = lora::models::GPT2Options;
  using Source = lora::models::GPT2Source<float>;
};

/// Calls action(Llama()) or action(GPT2()), as the model at `path` says that it is. What neither
/// is, Llama's reader refuses by name.
template <class Action>
void with_family(const std::string& path, const Action& action) {
  if (lora::models::read_model_type(path) == "gpt2")
    action(GPT2());
  else
    action(Llama());
}

}  // namespace textgen
