#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <lora/io/gguf/gguf_writer.hpp>
#include <lora/io/json.hpp>
#include <lora/io/safetensors/safetensors_writer.hpp>
#include <lora/models/gpt2/gpt2_gguf.hpp>
#include <lora/text/byte_alphabet.hpp>

#include "support/byte_tokenizer.hpp"
#include "support/random_matrix.hpp"
#include "support/whole_file.hpp"

namespace lora::test {

/// A GPT-2 of two narrow layers with random weights, a token for each byte, and no chats.
class TinyGPT2 {
 public:
  TinyGPT2() {
    for (const auto& [name, place] : models::gpt2_gguf_places(config())) {
      Matrix<float> values = 0.2F * random_matrix<float>(rows(name), cols(name), ++seed_);
      if (name.find(".ln_") != std::string::npos && name.ends_with("weight")) values.array() += 1;
      tensors_.push_back({name, place.name, std::move(values)});
    }
  }

  /// Writes it as one GGUF file.
  void write_gguf(const std::filesystem::path& path) const {
    io::GgufWriter writer;
    writer.set("general.architecture", "gpt2");
    for (const auto& [key, value] :
         std::vector<std::pair<std::string, std::uint32_t>>{{"context_length", 256},
                                                            {"embedding_length", d},
                                                            {"block_count", 2},
                                                            {"feed_forward_length", inner},
                                                            {"attention.head_count", 2}})
      writer.set("gpt2." + key, value);
    writer.set("gpt2.attention.layer_norm_epsilon", 1e-5F);
    set_byte_tokenizer(writer, {"<|endoftext|>"});
    writer.set("tokenizer.ggml.eos_token_id", std::uint32_t{257});
    for (const auto& [name, stored, values] : tensors_)
      if (values.rows() == 1)
        writer.add(stored, io::GgufType::F32, {values.cols()}, values.data());
      else
        writer.add<float>(stored, io::GgufType::F32, values);
    writer.write(path);
  }

  /// Writes it as a folder in Hugging Face's layout.
  void write_folder(const std::filesystem::path& folder) const {
    std::filesystem::create_directories(folder);
    std::vector<io::Tensor> tensors;
    for (const auto& [name, stored, values] : tensors_)
      if (values.rows() == 1)
        tensors.push_back(io::make_tensor(name, values, {values.cols()}));
      else if (name.find(".c_") != std::string::npos)
        tensors.push_back(io::make_tensor(name, Matrix<float>(values.transpose())));
      else
        tensors.push_back(io::make_tensor(name, values));
    io::write_safetensors(folder / "model.safetensors", tensors);
    write_whole(folder / "config.json", io::Json{{"model_type", "gpt2"},
                                                 {"vocab_size", vocabulary},
                                                 {"n_positions", 256},
                                                 {"n_embd", d},
                                                 {"n_inner", inner},
                                                 {"n_layer", 2},
                                                 {"n_head", 2},
                                                 {"eos_token_id", 257},
                                                 {"bos_token_id", 257}}
                                            .dump());
    write_whole(folder / "tokenizer.json", tokenizer().dump());
  }

 private:
  struct Tensor {
    std::string name, stored;
    Matrix<float> values;  // a vector is one row
  };

  static constexpr Index d = 16, inner = 24, vocabulary = 258;

  static models::GPT2Config config() {
    models::GPT2Config config;
    config.n_layer = 2;
    return config;
  }

  static Index rows(const std::string& name) {
    if (name.ends_with(".bias") || name.find(".ln_") != std::string::npos) return 1;
    if (name.ends_with("wte.weight")) return vocabulary;
    if (name.ends_with("wpe.weight")) return 256;
    if (name.ends_with("c_attn.weight")) return 3 * d;
    return name.ends_with("c_fc.weight") ? inner : d;
  }

  static Index cols(const std::string& name) {
    if (name.ends_with("c_attn.bias")) return 3 * d;
    if (name.ends_with("c_fc.bias") || name.ends_with("mlp.c_proj.weight")) return inner;
    return d;
  }

  static io::Json tokenizer() {
    io::Json vocab;
    for (int byte = 0; byte < 256; ++byte)
      vocab[text::spelled_bytes(std::string(1, static_cast<char>(byte)))] = byte;
    vocab["th"] = 256;
    const io::Json bytes{{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}};
    return {{"added_tokens",
             {{{"id", 257},
               {"content", "<|endoftext|>"},
               {"single_word", false},
               {"lstrip", false},
               {"rstrip", false},
               {"normalized", false},
               {"special", true}}}},
            {"normalizer", nullptr},
            {"pre_tokenizer", bytes},
            {"post_processor", nullptr},
            {"decoder", {{"type", "ByteLevel"}}},
            {"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", {"t h"}}}}};
  }

  std::uint64_t seed_ = 0;
  std::vector<Tensor> tensors_;
};

}  // namespace lora::test
