#pragma once

#include <filesystem>
#include <string>

#include "lora/core/printable.hpp"
#include "lora/models/common/save_gguf_adapter.hpp"
#include "lora/peft/adapter_values.hpp"

namespace lora::models {

/// Saves an adapter that is in memory, as peft::read_adapter returns it, as a GGUF file for
/// llama.cpp: without the model, of which gguf_adapter_format(config) makes `format`. Scales are
/// handled as save_gguf_adapter of a model does, and factors are stored as `type`.
///
/// Throws ConfigError, naming it, for what such a file cannot hold: no module at all, tensors
/// beside the factors (biases, modules_to_save), lora_bias, DoRA, embeddings, a changed base
/// (PiSSA ...), alora_invocation_tokens, layer_replication, and modules that the model does not
/// have or whose weight is tied to another; ShapeError for factors that are no matrices of the
/// settings' rank, and for rows that are no whole heads; FileError.
inline void save_gguf_adapter(const std::filesystem::path& path,
                              const peft::AdapterValues<float>& adapter,
                              const GgufAdapterFormat& format,
                              io::GgufType type = io::GgufType::F32) {
  constexpr const char* where = "save_gguf_adapter";
  const auto refuse = [](const std::string& what) {
    throw ConfigError("save_gguf_adapter: " + what + ", which llama.cpp's adapters cannot hold");
  };
  if (adapter.modules.empty())
    throw ConfigError(message(where, ": the adapter has no adapted module"));
  if (!adapter.others.empty())
    refuse(in_quotes(adapter.others.begin()->first) + " is stored as a whole");
  peft::require_own_base(adapter.config, where);
  if (!adapter.config.alora_invocation_tokens.empty())
    refuse("alora_invocation_tokens begin the adapter within a text");
  if (!adapter.config.layer_replication.empty()) refuse("layer_replication repeats layers");
  detail::GgufAdapterFile file(format, adapter.config.lora_alpha, type);
  for (const auto& [name, factors] : adapter.modules) {
    if (factors.magnitude || factors.config.use_dora)
      refuse(in_quotes(name) + " is adapted with DoRA");
    if (factors.b_bias || factors.config.lora_bias)
      refuse(in_quotes(name) + " is adapted with lora_bias");
    if (factors.is_embedding) refuse(in_quotes(name) + " is an embedding and adapted");
    const auto found = format.places.find(name);
    if (found == format.places.end())
      refuse(name == "lm_head" ? "the head is tied to the embeddings and adapted"
                               : in_quotes(name) + ", which the model does not have, is adapted");
    const Matrix<float>&a = factors.a.value, &b = factors.b.value;
    const Index rank = factors.config.rank;
    require_shape(a, rank, a.cols(), where, name + ".lora_A");
    require_shape(b, b.rows(), rank, where, name + ".lora_B");
    if (factors.a.shape.size() != 2 || factors.b.shape.size() != 2)
      throw ShapeError(message(where, ": the factors of ", in_quotes(name), " are of shapes ",
                               io::shape_text(factors.a.shape), " and ",
                               io::shape_text(factors.b.shape), ", expected two dimensions"));
    if (const Index head = found->second.head_rows; head > 0 && b.rows() % head != 0)
      throw ShapeError(message(where, ": lora_B of ", in_quotes(name), " has ", b.rows(),
                               " rows, expected heads of ", head));
    file.add(found->second, factors.config, a, b.cast<double>());
  }
  file.write(path);
}

}  // namespace lora::models
