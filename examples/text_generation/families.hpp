#pragma once

#include <lora/lora.hpp>
#include <lora/models.hpp>
#include <string>

namespace textgen {

/// The families of models that this program takes, their frozen weights in the storage `Frozen`.
/// Arithmetic and what trains are float.
template <class Frozen>
struct LlamaFamily {
  using Model = lora::models::LlamaModel<float, Frozen>;
  using Options = lora::models::LlamaOptions;
  using Source = lora::models::LlamaSource<float>;
};

template <class Frozen>
struct GPT2Family {
  using Model = lora::models::GPT2Model<float, Frozen>;
  using Options = lora::models::GPT2Options;
  using Source = lora::models::GPT2Source<float>;
};

/// Weights in bfloat16, as most language models come: half the memory, and twice the speed of
/// writing.
using Llama = LlamaFamily<lora::HalfWeight<float>>;
using GPT2 = GPT2Family<lora::HalfWeight<float>>;

/// Calls action(LlamaFamily<Frozen>()) or action(GPT2Family<Frozen>()), as the model at `path` says
/// that it is. What neither is, Llama's reader refuses by name.
template <class Frozen = lora::HalfWeight<float>, class Action>
void with_family(const std::string& path, const Action& action) {
  if (lora::models::read_model_type(path) == "gpt2")
    action(GPT2Family<Frozen>());
  else
    action(LlamaFamily<Frozen>());
}

}  // namespace textgen
