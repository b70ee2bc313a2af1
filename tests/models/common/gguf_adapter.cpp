#include <lora/models/common/gguf_adapter.hpp>

#include <string>
#include <vector>

#include <lora/io/gguf/gguf_writer.hpp>

#include "support/catch.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::test;
using models::GgufAdapter;

namespace {

const models::GgufAdapterFormat small_adapter_format{
    "some", {{"layer.q", {"blk.0.attn_q.weight", 4}}, {"layer.v", {"blk.0.attn_v.weight", 0}}}};

io::GgufWriter small_adapter_file(const std::string& type = "adapter",
                                  const std::string& architecture = "some",
                                  const std::string& kind = "lora") {
  io::GgufWriter writer;
  writer.set("general.type", type);
  writer.set("general.architecture", architecture);
  writer.set("adapter.type", kind);
  return writer;
}

const std::vector<float> adapter_zeros(64);

void add(io::GgufWriter& writer, const std::string& name, const io::Shape& shape) {
  writer.add(name, io::GgufType::F32, shape, adapter_zeros.data());
}

}  // namespace

TEST_CASE("a GGUF adapter says how a model is adapted to hold it") {
  const TemporaryDirectory directory;
  const auto path = directory.path() / "a.gguf";
  for (const bool scaled : {true, false}) {
    io::GgufWriter writer = small_adapter_file();
    if (scaled) writer.set("adapter.lora.alpha", 6.0F);
    add(writer, "blk.0.attn_q.weight.lora_a", {2, 4});
    add(writer, "blk.0.attn_q.weight.lora_b", {8, 2});
    add(writer, "blk.0.attn_v.weight.lora_a", {3, 4});
    add(writer, "blk.0.attn_v.weight.lora_b", {4, 3});
    add(writer, "blk.0.attn_norm.weight", {4});
    writer.write(path);
    const GgufAdapter adapter(path, small_adapter_format);
    CHECK(adapter.skipped() == std::vector<std::string>{"blk.0.attn_norm.weight"});
    const peft::PeftConfig config = adapter.config();
    CHECK(config.r == 2);
    CHECK(config.layer_config("layer.v").rank == 3);
    // Without an alpha nothing is scaled.
    CHECK(config.layer_config("layer.q").scaling() == (scaled ? 3 : 1));
    CHECK(config.layer_config("layer.v").scaling() == (scaled ? 2 : 1));
  }
}

TEST_CASE("a file that is no adapter of the model is refused by name") {
  const TemporaryDirectory directory;
  const auto path = directory.path() / "a.gguf";
  const auto refused = [&](const io::GgufWriter& writer, const char* part) {
    writer.write(path);
    check_throws<FileError>([&] { GgufAdapter adapter(path, small_adapter_format); }, part);
  };
  refused(small_adapter_file("model"), "general.type is \"model\", expected adapter");
  refused(small_adapter_file("adapter", "other"),
          "general.architecture is \"other\", expected some");
  refused(small_adapter_file(), "has no adapters");
  refused(small_adapter_file("adapter", "some", "control_vector"),
          "adapter.type is \"control_vector\", expected lora");
  const auto with = [&](const std::vector<std::pair<std::string, io::Shape>>& tensors) {
    io::GgufWriter writer = small_adapter_file();
    for (const auto& [name, shape] : tensors) add(writer, name, shape);
    return writer;
  };
  const std::string q = "blk.0.attn_q.weight", v = "blk.0.attn_v.weight";
  refused(with({{v + ".lora_a", {1, 16}}}), "has one factor alone");
  refused(with({{"blk.9.attn_v.weight.lora_a", {1, 16}}}), "adapts what the model does not have");
  refused(with({{"output.weight.lora_a", {1, 16}}}), "a head that is tied to the embeddings");
  refused(with({{v, {1, 16}}}), "is no factor of an adapter");
  refused(with({{v + ".lora_a", {16}}}), "is of shape (16,), expected a matrix");
  refused(with({{v + ".lora_a", {1, 16}}, {v + ".lora_b", {8, 2}}}),
          "has factors of ranks 1 and 2");
  refused(with({{q + ".lora_b", {6, 1}}}), "has 6 rows, expected heads of 4");
}
