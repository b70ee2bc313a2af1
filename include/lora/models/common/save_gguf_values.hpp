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
  if (adapter.modules.empty())
    throw ConfigError(message(where, ": the adapter has no adapted module"));
  if (!adapter.others.empty())
    detail::refuse_in_gguf(in_quotes(adapter.others.begin()->first) + " is stored as a whole");
  peft::require_own_base(adapter.config, where);
  detail::require_gguf_settings(adapter.config);
  detail::GgufAdapterFile file(format, adapter.config.lora_alpha, type);
  for (const auto& [name, factors] : adapter.modules) {
    if (factors.is_embedding)
      detail::refuse_in_gguf(in_quotes(name) + " is an embedding and adapted");
    LoRAConfig config = factors.config;  // values count, whatever the settings say
    config.use_dora = config.use_dora || factors.magnitude;
    config.lora_bias = config.lora_bias || factors.b_bias;
    const GgufPlace& place = detail::gguf_place(format, name, config);
    const Matrix<float>&a = factors.a.value, &b = factors.b.value;
    const Index rank = factors.config.rank;
    require_shape(a, rank, a.cols(), where, name + ".lora_A");
    require_shape(b, b.rows(), rank, where, name + ".lora_B");
    if (factors.a.shape.size() != 2 || factors.b.shape.size() != 2)
      throw ShapeError(message(where, ": the factors of ", in_quotes(name), " are of shapes ",
                               io::shape_text(factors.a.shape), " and ",
                               io::shape_text(factors.b.shape), ", expected two dimensions"));
    if (const Index head = place.head_rows; head > 0 && b.rows() % head != 0)
      throw ShapeError(message(where, ": lora_B of ", in_quotes(name), " has ", b.rows(),
                               " rows, expected heads of ", head));
    file.add(place, factors.config, a, b.cast<double>());
  }
  file.write(path);
}

}  // namespace lora::models
