// Writes and reads files of each kind, for run.py, which kills it, starves it and looks at what is
// left.
//
//     robustness base DIRECTORY SCALE           a Llama of random weights in two shards
//     robustness write KIND PATH VARIANT SCALE [BASE]
//     robustness read KIND PATH [MEMORY]
//     robustness mapped PATH HOW                replaced, overwritten or cut while it is mapped
//
// `write` prints "ready", waits for a line, writes, and prints "done". `read` sets a limit to its
// address space of what it has and MEMORY more bytes. Both end with 0, or with 3 after an exception
// whose message they print.
#include <lora/io.hpp>
#include <lora/lora.hpp>
#include <lora/models/llama/llama_model.hpp>

#include <sys/resource.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;
using lora::Index;
using lora::Matrix;

// Numbers without a generator's cost; no two variants share one.
Matrix<float> numbers(Index rows, Index cols, std::uint32_t variant) {
  Matrix<float> matrix(rows, cols);
  std::uint32_t state = 2654435761u * (variant + 1);
  for (Index i = 0; i < matrix.size(); ++i) {
    state = state * 1664525u + 1013904223u;
    matrix.data()[i] = (static_cast<float>(state >> 16) / 65536 - 0.5f) / 16;
  }
  return matrix;
}

lora::io::Tensor tensor(const std::string& name, Index rows, Index cols) {
  return lora::io::make_tensor(name, numbers(rows, cols, 7));
}

constexpr Index heads = 4;

void make_base(const fs::path& directory, Index scale) {
  constexpr Index vocabulary = 512, layers = 6;
  const Index width = 8 * scale, inner = 16 * scale;
  lora::io::make_directory(directory);
  std::vector<lora::io::Tensor> shards[2];
  std::string map;
  for (Index i = 0; i < layers; ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".";
    auto& shard = shards[2 * i / layers];
    for (const char* name : {"q", "k", "v", "o"})
      shard.push_back(
          tensor(lora::message(layer, "self_attn.", name, "_proj.weight"), width, width));
    for (const char* name : {"gate", "up"})
      shard.push_back(tensor(lora::message(layer, "mlp.", name, "_proj.weight"), inner, width));
    shard.push_back(tensor(layer + "mlp.down_proj.weight", width, inner));
    for (const char* name : {"input", "post_attention"})
      shard.push_back(lora::io::make_tensor(lora::message(layer, name, "_layernorm.weight"),
                                            numbers(1, width, 8), {width}));
  }
  shards[0].push_back(tensor("model.embed_tokens.weight", vocabulary, width));
  shards[1].push_back(tensor("lm_head.weight", vocabulary, width));
  shards[1].push_back(lora::io::make_tensor("model.norm.weight", numbers(1, width, 8), {width}));
  for (int i = 0; i < 2; ++i) {
    const std::string file = lora::message("model-0000", i + 1, "-of-00002.safetensors");
    for (const lora::io::Tensor& each : shards[i])
      map += lora::message(map.empty() ? "" : ",", "\"", each.name, "\":\"", file, "\"");
    lora::io::write_safetensors(directory / file, shards[i]);
  }
  lora::io::write_file(directory / "model.safetensors.index.json",
                       "{\"metadata\":{},\"weight_map\":{" + map + "}}");
  lora::io::write_file(
      directory / "config.json",
      lora::message("{\"model_type\":\"llama\",\"architectures\":[\"LlamaForCausalLM\"],"
                    "\"hidden_size\":",
                    width, ",\"intermediate_size\":", inner, ",\"num_hidden_layers\":", layers,
                    ",\"num_attention_heads\":", heads, ",\"num_key_value_heads\":", heads,
                    ",\"vocab_size\":", vocabulary,
                    ",\"max_position_embeddings\":128,\"rms_norm_eps\":1e-5,"
                    "\"tie_word_embeddings\":false,\"hidden_act\":\"silu\"}\n"));
  lora::io::write_file(directory / "generation_config.json", "{}\n");
}

// An adapter of the base; with `other_settings` variants differ in rank and alpha too.
lora::peft::AdapterValues<float> adapter(std::uint32_t variant, Index scale, bool other_settings) {
  const Index rank = 4 + (other_settings ? variant % 2 : 0);
  lora::peft::AdapterValues<float> values;
  values.config.r = rank;
  values.config.lora_alpha = 8 + static_cast<double>(rank);
  values.config.target_modules = std::vector<std::string>{"q_proj", "v_proj"};
  values.config.task_type = "CAUSAL_LM";
  const Index width = 8 * scale;
  for (int i = 0; i < 6; ++i)
    for (const char* name : {"q", "v"}) {
      const std::string module = lora::message("model.layers.", i, ".self_attn.", name, "_proj");
      values.modules.emplace(
          module, lora::peft::LoRAFactors<float>{values.config.layer_config(module),
                                                 {numbers(rank, width, variant), {rank, width}},
                                                 {numbers(width, rank, variant), {width, rank}}});
    }
  return values;
}

lora::io::Checkpoint<float> checkpoint(std::uint32_t variant, Index scale) {
  lora::io::Checkpoint<float> values;
  values.optimizer.optimizer = "AdamW";
  for (const std::string name : {"a", "b"}) {
    values.parameters[name] = numbers(16 * scale, 16 * scale, variant);
    values.optimizer.steps[name] = variant;
    for (const char* moment : {".exp_avg", ".exp_avg_sq"})
      values.optimizer.tensors[name + moment] = numbers(16 * scale, 16 * scale, variant + 1);
  }
  values.tapes = {{1, variant}};
  values.counters = {{"step", variant}};
  return values;
}

lora::io::GgufWriter gguf(std::uint32_t variant, Index scale) {
  lora::io::GgufWriter file;
  file.set("general.architecture", "llama");
  const Matrix<float> values = numbers(16 * scale, 16 * scale, variant);
  for (int i = 0; i < 6; ++i)
    file.add<float>("blk." + std::to_string(i) + ".attn_q.weight", lora::io::GgufType::F32, values);
  return file;
}

void limit_memory(std::uint64_t more) {
  std::uint64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  const rlimit limit{pages * 4096 + more, pages * 4096 + more};
  if (::setrlimit(RLIMIT_AS, &limit) != 0) std::abort();
}

template <class Write>
void at_a_sign(const Write& write) {
  std::cout << "ready" << std::endl;
  std::string line;
  std::getline(std::cin, line);
  write();
  std::cout << "done" << std::endl;
}

void write(const std::string& kind, const fs::path& path, std::uint32_t variant, Index scale,
           const fs::path& base) {
  if (kind == "adapter" || kind == "settings") {
    const auto values = adapter(variant, 32 * scale, kind == "settings");
    at_a_sign([&] { lora::peft::save_adapter(path, values); });
  } else if (kind == "checkpoint") {
    const auto values = checkpoint(variant, scale);
    at_a_sign([&] { lora::io::save_checkpoint(path, values); });
  } else if (kind == "merge") {
    const auto values = adapter(variant, scale, false);
    at_a_sign([&] { lora::peft::merge_adapter(base, values, path); });
  } else if (kind == "gguf") {
    const auto file = gguf(variant, scale);
    at_a_sign([&] { file.write(path); });
  } else {
    throw std::invalid_argument("unknown kind " + kind);
  }
}

void read(const std::string& kind, const fs::path& path) {
  if (kind == "adapter" || kind == "settings") {
    static_cast<void>(lora::peft::read_adapter<float>(path));
  } else if (kind == "checkpoint") {
    static_cast<void>(lora::io::load_checkpoint<float>(path));
  } else if (kind == "merge" || kind == "model") {
    lora::io::ModelReader reader(path);
    for (const auto& [name, file] : reader.tensors()) {
      const lora::MatrixShape size(reader.tensor(name).shape);
      static_cast<void>(reader.read<float>(name, size.rows, size.cols));
    }
    const lora::models::LlamaModel<float> model(path);
  } else if (kind == "safetensors") {
    const lora::io::SafetensorsReader reader(path);
    std::vector<Matrix<float>> all;
    for (const auto& [name, view] : reader.tensors()) all.push_back(reader.read<float>(name));
  } else if (kind == "gguf") {
    const lora::io::GgufReader reader(path);
    std::vector<std::vector<float>> all;
    for (const auto& [name, each] : reader.tensors()) {
      all.emplace_back(static_cast<std::size_t>(each.size()));
      lora::io::decode_gguf(each.type, each.bytes.data(), each.size(), all.back().data());
    }
  } else {
    throw std::invalid_argument("unknown kind " + kind);
  }
}

// Says what a program sees of a file that it has mapped, when others change the file.
void change_while_mapped(const fs::path& path, const std::string& how) {
  lora::io::write_file(path, std::string(1 << 16, 'a'));
  const lora::io::MappedFile file(path);
  if (how == "replaced")
    lora::io::write_file(path, std::string(1 << 10, 'b'));
  else if (how == "overwritten")
    std::fstream(path, std::ios::in | std::ios::out) << std::string(1 << 16, 'b');
  else
    fs::resize_file(path, 0);
  std::size_t old = 0;
  for (const std::byte byte : file.bytes()) old += byte == std::byte{'a'};
  std::cout << (old == file.bytes().size() ? "old" : old == 0 ? "new" : "mixed") << std::endl;
}

int run(const std::vector<std::string>& words) {
  if (words.size() == 3 && words[0] == "base") {
    make_base(words[1], std::stoi(words[2]));
  } else if (words.size() >= 5 && words[0] == "write") {
    write(words[1], words[2], static_cast<std::uint32_t>(std::stoul(words[3])), std::stoi(words[4]),
          words.size() > 5 ? words[5] : "");
  } else if (words.size() >= 3 && words[0] == "read") {
    if (words.size() > 3) limit_memory(std::stoull(words[3]));
    read(words[1], words[2]);
  } else if (words.size() == 3 && words[0] == "mapped") {
    change_while_mapped(words[1], words[2]);
  } else {
    std::cerr << "robustness base|write|read|mapped ...: see robustness.cpp\n";
    return 2;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 3;
  }
}
