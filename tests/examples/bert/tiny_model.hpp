#pragma once

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <lora/io.hpp>

#include "support/random_matrix.hpp"

namespace lora::test {

/// Writes a BERT of two narrow layers with random weights into `folder`, as Hugging Face stores it;
/// its vocabulary are the words given.
inline void write_tiny_model(const std::filesystem::path& folder,
                             const std::vector<std::string>& words) {
  constexpr Index d = 16, inner = 32, positions = 24;
  std::filesystem::create_directories(folder);
  std::ofstream vocabulary(folder / "vocab.txt");
  Index size = 0;
  for (const char* token : {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}) {
    vocabulary << token << '\n';
    ++size;
  }
  for (const std::string& word : words) {
    vocabulary << word << '\n';
    ++size;
  }
  std::ofstream(folder / "config.json")
      << io::Json{{"model_type", "bert"},       {"vocab_size", size},
                  {"hidden_size", d},           {"num_hidden_layers", 2},
                  {"num_attention_heads", 2},   {"intermediate_size", inner},
                  {"hidden_act", "gelu"},       {"max_position_embeddings", positions},
                  {"type_vocab_size", 2},       {"layer_norm_eps", 1e-12},
                  {"hidden_dropout_prob", 0.1}, {"attention_probs_dropout_prob", 0.1}};

  std::vector<io::Tensor> tensors;
  std::uint64_t seed = 1;
  const auto add = [&](const std::string& name, Index rows, Index cols, double scale) {
    Matrix<float> value = random_matrix<float>(rows, cols, seed++);
    value *= static_cast<float>(scale);
    const auto shape = rows == 1 ? io::Shape{cols} : io::Shape{rows, cols};
    tensors.push_back(io::make_tensor(name, value, shape));
  };
  const auto linear = [&](const std::string& name, Index out, Index in) {
    add(name + ".weight", out, in, 1.5 / std::sqrt(static_cast<double>(in)));
    add(name + ".bias", 1, out, 0.1);
  };
  const auto norm = [&](const std::string& name) {
    tensors.push_back(io::make_tensor(name + ".weight", Matrix<float>::Ones(1, d), io::Shape{d}));
    tensors.push_back(io::make_tensor(name + ".bias", Matrix<float>::Zero(1, d), io::Shape{d}));
  };
  add("embeddings.word_embeddings.weight", size, d, 1);
  add("embeddings.position_embeddings.weight", positions, d, 0.3);
  add("embeddings.token_type_embeddings.weight", 2, d, 0.3);
  norm("embeddings.LayerNorm");
  for (const char* layer : {"encoder.layer.0.", "encoder.layer.1."}) {
    const std::string name = layer;
    for (const char* part : {"query", "key", "value"})
      linear(name + "attention.self." + part, d, d);
    linear(name + "attention.output.dense", d, d);
    norm(name + "attention.output.LayerNorm");
    linear(name + "intermediate.dense", inner, d);
    linear(name + "output.dense", d, inner);
    norm(name + "output.LayerNorm");
  }
  linear("pooler.dense", d, d);
  io::write_safetensors(folder / "model.safetensors", std::move(tensors));
}

}  // namespace lora::test
