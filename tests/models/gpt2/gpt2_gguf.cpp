#include <lora/models/gpt2/gpt2_gguf.hpp>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <lora/frozen/block_weight.hpp>
#include <lora/frozen/half_weight.hpp>
#include <lora/frozen/mapped_weight.hpp>
#include <lora/io/gguf/gguf_writer.hpp>
#include <lora/models/gpt2/gpt2_model.hpp>

#include "models/gpt2/golden_gpt2.hpp"
#include "support/catch.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

namespace {

using Numbers = std::map<std::string, std::uint32_t>;
using Shapes = std::map<std::string, io::Shape>;

const Numbers sizes{{"context_length", 8},
                    {"embedding_length", 4},
                    {"block_count", 1},
                    {"feed_forward_length", 6},
                    {"attention.head_count", 2}};

const Shapes shapes{{"token_embd.weight", {5, 4}},        {"position_embd.weight", {8, 4}},
                    {"output_norm.weight", {4}},          {"output_norm.bias", {4}},
                    {"blk.0.attn_norm.weight", {4}},      {"blk.0.attn_norm.bias", {4}},
                    {"blk.0.attn_qkv.weight", {12, 4}},   {"blk.0.attn_qkv.bias", {12}},
                    {"blk.0.attn_output.weight", {4, 4}}, {"blk.0.attn_output.bias", {4}},
                    {"blk.0.ffn_norm.weight", {4}},       {"blk.0.ffn_norm.bias", {4}},
                    {"blk.0.ffn_up.weight", {6, 4}},      {"blk.0.ffn_up.bias", {6}},
                    {"blk.0.ffn_down.weight", {4, 6}},    {"blk.0.ffn_down.bias", {4}}};

// A file of zeros.
void write_gguf(const std::filesystem::path& path, const Numbers& numbers, const Shapes& tensors,
                const std::string& architecture = "gpt2", float epsilon = 1e-5F) {
  io::GgufWriter writer;
  writer.set("general.architecture", architecture);
  for (const auto& [key, value] : numbers)
    writer.set(key.starts_with("tokenizer") ? key : architecture + "." + key, value);
  if (epsilon != 0) writer.set(architecture + ".attention.layer_norm_epsilon", epsilon);
  const std::vector<float> zeros(64);
  for (const auto& [name, shape] : tensors)
    writer.add(name, io::GgufType::F32, shape, zeros.data());
  writer.write(path);
}

Numbers with(Numbers numbers, const std::string& key, std::uint32_t value) {
  numbers[key] = value;
  return numbers;
}

Shapes with(Shapes tensors, const std::string& name, const io::Shape& shape) {
  tensors[name] = shape;
  return tensors;
}

template <class Map>
Map without(Map map, const std::string& key) {
  REQUIRE(map.erase(key) == 1);
  return map;
}

}  // namespace

TEST_CASE("a GPT-2 from a GGUF file computes what transformers computes from it") {
  const auto folder = std::filesystem::path(LORA_GOLDEN_DIR) / "gpt2_gguf";
  for (const std::string name : {"plain", "mixed"}) {
    CAPTURE(name);
    const io::SafetensorsReader golden(folder / (name + ".safetensors"));
    const Matrix<float> ids = golden.read<float>("ids");
    const std::vector<int> tokens(ids.data(), ids.data() + ids.size());
    const models::CausalBatch batch(tokens, std::vector<int>{12, 7});
    const Matrix<float> expected = golden.read<float>("logits");
    Matrix<float> logits;
    const models::GPT2Model<float> model(folder / (name + ".gguf"));
    model.logits(batch, logits);
    CHECK(largest_difference(logits, expected) < 2e-5);
    CHECK(model.config().tie_word_embeddings == (name == "plain"));
    CHECK(model.config().bos_token_id == 1);
    CHECK(model.config().eos_token_ids == std::vector<int>{2});
    // Where the weights stay in the file they lie (out, in) there.
    const models::GPT2Model<float, MappedWeight<float>> mapped(folder / (name + ".gguf"));
    mapped.logits(batch, logits);
    CHECK(largest_difference(logits, expected) < 2e-5);
    const models::GPT2Model<float, BlockWeight<float>> blocks(folder / (name + ".gguf"));
    blocks.logits(batch, logits);
    CHECK(largest_difference(logits, expected) < 2e-5);
  }
}

TEST_CASE("a GPT-2 is the same from its GGUF as from its directory") {
  const auto gguf = std::filesystem::path(LORA_GOLDEN_DIR) / "gpt2_gguf" / "plain.gguf";
  const GoldenGPT2 golden("all_biases");
  Matrix<float> expected, logits;
  models::GPT2Model<float>(gpt2_data("all_biases")).logits(golden.batch, expected);
  models::GPT2Model<float>(gguf).logits(golden.batch, logits);
  CHECK(same_bits(logits, expected));
}

TEST_CASE("keys of a GGUF become the settings of a GPT-2") {
  const TemporaryDirectory directory;
  const auto path = directory.path() / "m.gguf";
  write_gguf(path, with(sizes, "tokenizer.ggml.padding_token_id", 3),
             with(shapes, "output.weight", {5, 4}), "gpt2", 1e-4F);
  const models::GPT2Config config = models::read_gpt2_config(io::GgufReader(path));
  CHECK(config.vocab_size == 5);
  CHECK(config.n_positions == 8);
  CHECK(config.n_embd == 4);
  CHECK(config.n_layer == 1);
  CHECK(config.n_head == 2);
  CHECK(config.n_inner == 6);
  CHECK(config.layer_norm_epsilon == Approx(1e-4));
  CHECK(config.activation_function == Activation::gelu_tanh);
  CHECK(config.pad_token_id == 3);
  CHECK(!config.tie_word_embeddings);
}

TEST_CASE("a GGUF that is no GPT-2, or contradicts itself, is refused by name") {
  const TemporaryDirectory directory;
  const auto path = directory.path() / "m.gguf";
  const auto refused = [&](const Numbers& numbers, const Shapes& tensors, const std::string& part,
                           const std::string& architecture = "gpt2", float epsilon = 1e-5F) {
    write_gguf(path, numbers, tensors, architecture, epsilon);
    check_throws<FileError>([&] { const models::GPT2Model<float> model(path); }, part);
  };
  write_gguf(path, sizes, shapes);
  CHECK_NOTHROW(models::GPT2Model<float>(path));

  refused(sizes, shapes, "general.architecture is \"llama\", expected gpt2", "llama");
  for (const auto& [key, value] : sizes)
    refused(without(sizes, key), shapes, "has no key \"gpt2." + key + "\"");
  refused(sizes, shapes, "has no key \"gpt2.attention.layer_norm_epsilon\"", "gpt2", 0);
  refused(sizes, shapes, "the value of \"gpt2.attention.layer_norm_epsilon\" is -1", "gpt2", -1);
  refused(with(sizes, "embedding_length", 0), shapes, "\"gpt2.embedding_length\"");
  refused(with(sizes, "attention.head_count", 3), shapes, "expected a multiple of the 3 n_head");
  refused(with(sizes, "attention.head_count_kv", 1), shapes, "heads share their keys");
  refused(with(sizes, "attention.key_length", 4), shapes,
          "gpt2.attention.key_length is not 2, n_embd / n_head");
  refused(with(sizes, "tokenizer.ggml.eos_token_id", 5), shapes, "\"tokenizer.ggml.eos_token_id\"");

  for (const auto& [name, shape] : shapes)
    refused(sizes, without(shapes, name), "tensor \"" + name + "\" is missing");
  for (const auto& [name, shape] : shapes) {
    // One row more; the vocabulary is as large as token_embd.weight says.
    if (name == "token_embd.weight") continue;
    io::Shape other = shape;
    ++other.front();
    refused(sizes, with(shapes, name, other), "is of shape " + io::shape_text(other));
  }
  refused(sizes, with(shapes, "token_embd.weight", {5}), "expected a matrix");
  refused(sizes, with(shapes, "token_embd.weight", {5, 6}), "is of shape (5, 6)");
  // As Conv1D holds it.
  refused(sizes, with(shapes, "blk.0.attn_qkv.weight", {4, 12}),
          "is of shape (4, 12), expected (12, 4)");
  refused(sizes, with(shapes, "blk.1.ffn_up.bias", {6}),
          "tensor \"blk.1.ffn_up.bias\" is none of a model of type gpt2");
  refused(sizes, with(shapes, "rope_freqs.weight", {1}), "\"rope_freqs.weight\" is none of");
}
