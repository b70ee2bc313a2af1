#include <lora/models/llama/llama_gguf.hpp>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <lora/io/gguf/gguf_writer.hpp>
#include <lora/models/llama/llama_model.hpp>

#include "models/llama/golden_llama.hpp"
#include "support/catch.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

namespace {

std::filesystem::path gguf_data(const std::string& name) {
  return std::filesystem::path(LORA_GOLDEN_DIR) / "gguf" / (name + ".gguf");
}

void set_sizes(io::GgufWriter& writer, const std::string& arch) {
  writer.set("general.architecture", arch);
  for (const auto& [key, value] :
       std::vector<std::pair<std::string, std::uint32_t>>{{"context_length", 64},
                                                          {"embedding_length", 16},
                                                          {"block_count", 0},
                                                          {"feed_forward_length", 24},
                                                          {"attention.head_count", 4}})
    writer.set(arch + "." + key, value);
  writer.set(arch + ".attention.layer_norm_rms_epsilon", 1e-5F);
  const std::vector<float> zeros(5 * 16);
  writer.add("token_embd.weight", io::GgufType::F32, {5, 16}, zeros.data());
  writer.add("output_norm.weight", io::GgufType::F32, {16}, zeros.data());
}

}  // namespace

TEST_CASE("a model is the same from its GGUF as from its directory") {
  for (const std::string name : {"biases", "tied", "qwen3"}) {
    CAPTURE(name);
    const GoldenLlama golden(name);
    const models::LlamaModel<float> from_gguf(gguf_data(name)), from_files(llama_data(name));
    Matrix<float> expected, logits;
    from_files.logits(golden.batch, expected);
    from_gguf.logits(golden.batch, logits);
    CHECK(largest_difference(logits, expected) < 1e-5);
    CHECK(from_gguf.config().tie_word_embeddings == (name == "tied"));
    CHECK(from_gguf.config().eos_token_ids == std::vector<int>{2});
  }
}

TEST_CASE("keys of a GGUF become settings, and scaling of positions with them") {
  const TemporaryDirectory directory;
  const auto path = directory.path() / "m.gguf";
  io::GgufWriter writer;
  set_sizes(writer, "llama");
  writer.set("llama.rope.freq_base", 500.0F);
  writer.set("llama.rope.scaling.type", "yarn");
  writer.set("llama.rope.scaling.factor", 4.0F);
  writer.set("llama.rope.scaling.original_context_length", std::uint32_t{16});
  writer.add("rope_freqs.weight", io::GgufType::F32, {2}, std::vector<float>{1, 8}.data());
  writer.write(path);
  const models::LlamaConfig config = models::read_llama_config(io::GgufReader(path));
  CHECK(config.num_key_value_heads == 4);
  CHECK(config.head_dim == 4);
  CHECK(config.vocab_size == 5);
  CHECK(config.rope.theta == 500);
  CHECK(config.rope.scaling == RotaryScaling::yarn);
  CHECK(config.rope.original_positions == 16);
  CHECK(config.rope.frequency_factors == std::vector<double>{1, 8});
  CHECK(config.tie_word_embeddings);
}

TEST_CASE("positions of a GGUF without a type of scaling are scaled linearly, as in llama.cpp") {
  const TemporaryDirectory directory;
  const auto path = directory.path() / "m.gguf";
  for (const char* key : {"llama.rope.scaling.factor", "llama.rope.scale_linear", ""}) {
    CAPTURE(key);
    io::GgufWriter writer;
    set_sizes(writer, "llama");
    if (*key != 0) writer.set(key, 4.0F);
    writer.write(path);
    const models::LlamaConfig config = models::read_llama_config(io::GgufReader(path));
    CHECK(config.rope.scaling == (*key != 0 ? RotaryScaling::linear : RotaryScaling::none));
    if (*key != 0) CHECK(config.rope.factor == 4);
  }
}

TEST_CASE("a GGUF of another model, or with tensors that do not belong, is refused") {
  const TemporaryDirectory directory;
  const auto path = directory.path() / "m.gguf";
  const auto refused = [&](const io::GgufWriter& writer, const std::string& part) {
    writer.write(path);
    check_throws<FileError>([&] { const models::LlamaModel<float> model(path); }, part);
  };
  io::GgufWriter gemma;
  set_sizes(gemma, "gemma");
  refused(gemma, "general.architecture is \"gemma\", expected llama, qwen2 or qwen3");
  io::GgufWriter extra;
  set_sizes(extra, "llama");
  const std::vector<float> zeros(16);
  extra.add("blk.0.attn_norm.weight", io::GgufType::F32, {16}, zeros.data());
  refused(extra, "tensor \"blk.0.attn_norm.weight\" is none of a model of type llama");
  io::GgufWriter scaled;
  set_sizes(scaled, "llama");
  scaled.set("llama.rope.scaling.type", "longrope");
  refused(scaled, "rope.scaling.type is \"longrope\"");
  io::GgufWriter lacking;
  lacking.set("general.architecture", "llama");
  lacking.add("token_embd.weight", io::GgufType::F32, {1, 16}, zeros.data());
  refused(lacking, "has no key \"llama.context_length\"");
  io::GgufWriter adapter;
  set_sizes(adapter, "llama");
  adapter.set("general.type", "adapter");
  refused(adapter, "general.type is \"adapter\", expected model");
}
