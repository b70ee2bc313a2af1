#include <lora/models/common/gguf_fields.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <lora/io/gguf/gguf_writer.hpp>

#include "support/catch.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::test;
using models::GgufFields;

namespace {

struct SomeConfig {
  Index vocab_size = 5;
  std::vector<int> eos_token_ids = {};
  std::optional<int> bos_token_id = {}, pad_token_id = {};
};

}  // namespace

TEST_CASE("settings of a GGUF lie under its architecture, and are read by range") {
  const TemporaryDirectory directory;
  const auto path = directory.path() / "m.gguf";
  io::GgufWriter writer;
  writer.set("general.architecture", "some");
  writer.set("general.type", "model");
  writer.set("some.block_count", std::uint32_t{0});
  writer.set("some.width", std::uint32_t{12});
  writer.set("some.epsilon", 0.5F);
  writer.set("some.zero", 0.0F);
  for (const char* name : {"bos", "eos", "eot"})
    writer.set(message("tokenizer.ggml.", name, "_token_id"), std::uint32_t{4});
  const std::vector<float> zeros(10);
  writer.add("token_embd.weight", io::GgufType::F32, {5, 2}, zeros.data());
  writer.write(path);
  const io::GgufReader file(path);
  const GgufFields fields(file, {"other", "some"});
  CHECK(fields.architecture() == "some");
  CHECK(fields.key("width") == "some.width");
  CHECK(fields.has("width"));
  CHECK(!fields.has("height"));
  CHECK(fields.has_tensor("token_embd.weight"));
  CHECK(fields.size("width", 12) == 12);
  CHECK(fields.layers() == 0);
  CHECK(fields.small("epsilon") == 0.5);
  CHECK(fields.vocab_size() == 5);
  SomeConfig config;
  fields.read_tokens(config);
  CHECK(config.bos_token_id == 4);
  CHECK(config.eos_token_ids == std::vector<int>{4});
  CHECK(!config.pad_token_id);

  const auto refused = [](const auto& action, const char* part) {
    check_throws<FileError>(action, part);
  };
  refused([&] { static_cast<void>(fields.size("width", 11)); }, "not a whole number in [1, 11]");
  refused([&] { static_cast<void>(fields.size("height", 11)); }, "has no key \"some.height\"");
  refused([&] { static_cast<void>(fields.small("zero")); }, "expected one in [1e-30, 1]");
  config.vocab_size = 4;
  refused([&] { fields.read_tokens(config); }, "\"tokenizer.ggml.bos_token_id\"");
  refused([&] { GgufFields(file, {"a"}); }, "is \"some\", expected a: others are not built");
  refused([&] { GgufFields(file, {"a", "b"}); }, "expected a or b: others");
  refused([&] { GgufFields(file, {"a", "b", "c"}); }, "expected a, b or c: others");
}

TEST_CASE("a GGUF that is no model, or whose embeddings are no matrix, is refused") {
  const TemporaryDirectory directory;
  const auto path = directory.path() / "m.gguf";
  io::GgufWriter writer;
  writer.set("general.architecture", "some");
  const float zero = 0;
  writer.add("token_embd.weight", io::GgufType::F32, {1}, &zero);
  writer.write(path);
  const io::GgufReader file(path);
  check_throws<FileError>([&] { static_cast<void>(GgufFields(file, {"some"}).vocab_size()); },
                          "is of shape (1,), expected a matrix");
  writer.set("general.type", "adapter");
  writer.write(path);
  const io::GgufReader adapter(path);
  check_throws<FileError>([&] { GgufFields(adapter, {"some"}); },
                          "general.type is \"adapter\", expected model");
}
