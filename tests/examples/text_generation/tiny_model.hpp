#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <lora/io/gguf/gguf_writer.hpp>

#include "support/byte_tokenizer.hpp"
#include "support/random_matrix.hpp"

namespace lora::test {

/// Writes a Llama of two narrow layers with random weights, a token for each byte, and a ChatML
/// template, as one GGUF file.
inline void write_tiny_llama(const std::filesystem::path& path) {
  constexpr Index d = 16, inner = 24, vocabulary = 260;
  io::GgufWriter writer;
  writer.set("general.architecture", "llama");
  for (const auto& [key, value] :
       std::vector<std::pair<std::string, std::uint32_t>>{{"context_length", 256},
                                                          {"embedding_length", d},
                                                          {"block_count", 2},
                                                          {"feed_forward_length", inner},
                                                          {"attention.head_count", 2},
                                                          {"attention.head_count_kv", 1}})
    writer.set("llama." + key, value);
  writer.set("llama.attention.layer_norm_rms_epsilon", 1e-5F);
  set_byte_tokenizer(writer, {"<|im_start|>", "<|im_end|>", "<|endoftext|>"});
  writer.set("tokenizer.ggml.eos_token_id", std::uint32_t{258});
  writer.set("tokenizer.chat_template",
             "{% for message in messages %}{{'<|im_start|>' + message['role']}}{% endfor %}");
  std::uint64_t seed = 1;
  const auto add = [&](const std::string& name, Index rows, Index cols) {
    const Matrix<float> values = 0.2F * random_matrix<float>(rows, cols, ++seed);
    writer.add<float>(name + ".weight", io::GgufType::F32, values);
  };
  const std::vector<float> ones(static_cast<std::size_t>(d), 1);
  const auto add_norm = [&](const std::string& name) {
    writer.add(name + ".weight", io::GgufType::F32, {d}, ones.data());
  };
  add("token_embd", vocabulary, d);
  for (const std::string layer : {"blk.0.", "blk.1."}) {
    add_norm(layer + "attn_norm");
    add(layer + "attn_q", d, d);
    add(layer + "attn_k", d / 2, d);
    add(layer + "attn_v", d / 2, d);
    add(layer + "attn_output", d, d);
    add_norm(layer + "ffn_norm");
    add(layer + "ffn_gate", inner, d);
    add(layer + "ffn_up", inner, d);
    add(layer + "ffn_down", d, inner);
  }
  add_norm("output_norm");
  writer.write(path);
}

}  // namespace lora::test
