#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include <lora/models.hpp>

#include "support/whole_file.hpp"

namespace lora::test {

/// Writes a BERT encoder without a head whose F32 weights are all zero. The file has its full size,
/// but the zeros are a hole in it: it takes no place on the disk.
inline void write_hollow_bert(const std::filesystem::path& directory,
                              const models::BertConfig& config) {
  using Json = nlohmann::json;
  const Json sizes{{"model_type", "bert"},
                   {"vocab_size", config.vocab_size},
                   {"hidden_size", config.hidden_size},
                   {"num_hidden_layers", config.num_hidden_layers},
                   {"num_attention_heads", config.num_attention_heads},
                   {"intermediate_size", config.intermediate_size}};
  write_whole(directory / "config.json", sizes.dump());
  Json header;
  std::uintmax_t end = 0;
  const auto add = [&](const std::string& name, const io::Shape& shape) {
    std::uintmax_t bytes = sizeof(float);
    for (const Index size : shape) bytes *= static_cast<std::uintmax_t>(size);
    header[name] = {{"dtype", "F32"}, {"shape", shape}, {"data_offsets", {end, end + bytes}}};
    end += bytes;
  };
  const Index d = config.hidden_size, inner = config.intermediate_size;
  for (const peft::ModuleName& module : models::bert_outline(config, {}).modules) {
    const std::string& name = module.name;
    if (name.ends_with("LayerNorm")) {
      add(name + ".weight", {d});
      add(name + ".bias", {d});
    } else if (module.kind == peft::ModuleKind::linear) {
      const bool widens = name.ends_with("intermediate.dense");
      const bool narrows =
          name.ends_with("output.dense") && !name.ends_with("attention.output.dense");
      add(name + ".weight", {widens ? inner : d, narrows ? inner : d});
      add(name + ".bias", {widens ? inner : d});
    }
  }
  add("embeddings.word_embeddings.weight", {config.vocab_size, d});
  add("embeddings.position_embeddings.weight", {config.max_position_embeddings, d});
  add("embeddings.token_type_embeddings.weight", {config.type_vocab_size, d});
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');
  std::string length(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) length[i] = static_cast<char>(text.size() >> (8 * i) & 0xFF);
  const auto path = directory / "model.safetensors";
  write_whole(path, length + text);
  std::filesystem::resize_file(path, 8 + text.size() + end);
}

}  // namespace lora::test
