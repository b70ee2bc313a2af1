#include <lora/io/gguf/gguf_writer.hpp>

#include <cstdint>
#include <string>
#include <vector>

#include <lora/io/gguf/gguf_reader.hpp>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::io;
using namespace lora::test;

TEST_CASE("what is written as GGUF is read again") {
  const TemporaryDirectory directory;
  const auto path = directory.path() / "out.gguf";
  const Matrix<float> wide = random_matrix<float>(3, 64, 1);
  GgufWriter writer;
  writer.set("name", "text");
  writer.set("whole", std::uint32_t{7});
  writer.set("number", 0.25F);
  writer.set("flag", true);
  writer.set("words", std::vector<std::string>{"a", "", "\xE2\x82\xAC"});
  writer.set("scores", std::vector<float>{1, -1});
  writer.set("types", std::vector<std::int32_t>{3, -1});
  writer.add<float>("exact", GgufType::F32, wide);
  writer.add<float>("coarse", GgufType::Q8_0, wide.leftCols(32));
  writer.add("vector", GgufType::BF16, {3}, std::vector<float>{1, 2, 3}.data());
  writer.write(path);

  const GgufReader reader(path);
  const GgufMetadata& metadata = reader.metadata();
  CHECK(metadata.text("name") == "text");
  CHECK(metadata.integer("whole", 0, 10) == 7);
  CHECK(metadata.number("number") == 0.25);
  CHECK(metadata.flag("flag", false));
  CHECK(metadata.texts("words")[2] == "\xE2\x82\xAC");
  CHECK(metadata.numbers("scores") == std::vector<double>{1, -1});
  CHECK(metadata.numbers("types") == std::vector<double>{3, -1});
  const GgufTensor& exact = reader.tensor("exact");
  CHECK(exact.shape == Shape{3, 64});
  Matrix<float> back(3, 64), coarse(3, 32);
  decode_gguf(exact.type, exact.bytes.data(), exact.size(), back.data());
  CHECK(same_bits(back, wide));
  const GgufTensor& rounded = reader.tensor("coarse");
  CHECK(rounded.type == GgufType::Q8_0);
  decode_gguf(rounded.type, rounded.bytes.data(), rounded.size(), coarse.data());
  CHECK(largest_difference(coarse, wide.leftCols(32)) < 0.03);
  CHECK(reader.tensor("vector").shape == Shape{3});
}

TEST_CASE("what no GGUF can hold is refused, and the writer stays as it was") {
  GgufWriter writer;
  writer.set("key", "value");
  const Matrix<double> vast{{1e39, 0}};
  check_throws<FileError>(
      [&] { writer.add<double>("wide", GgufType::F32, vast); },
      "GgufWriter: tensor \"wide\": (0, 0) is 1e+39, which does not fit a float");
  const std::vector<float> numbers(64, 1.0F);
  writer.add("a", GgufType::F32, {4}, numbers.data());
  const auto before = writer.bytes();
  const auto refused = [&](const auto& action, const char* part) {
    check_throws<FileError>(action, part);
  };
  refused([&] { writer.set("", "value"); }, "a key is empty");
  refused([&] { writer.set("key", 1.0F); }, "the key \"key\" is there already");
  refused([&] { writer.add("a", GgufType::F32, {4}, numbers.data()); }, "\"a\": is there already");
  refused([&] { writer.add("", GgufType::F32, {4}, numbers.data()); }, "its name has 0 bytes");
  refused(
      [&] {
        writer.add("b", GgufType::Q8_0, {2, 31}, numbers.data());
      },
      "rows of 31 numbers are no whole blocks of 32");
  refused(
      [&] {
        writer.add("b", GgufType::F32, {1, 1, 1, 1, 1}, numbers.data());
      },
      "has 5 dimensions");
  refused([&] { writer.add("b", GgufType::Q4_K, {256}, numbers.data()); }, "not written");
  CHECK(writer.bytes() == before);
}
