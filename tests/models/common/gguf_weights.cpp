#include <lora/models/common/gguf_weights.hpp>

#include <algorithm>
#include <memory>
#include <span>
#include <vector>

#include <lora/io/gguf/gguf_writer.hpp>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;
using models::GgufWeights;

TEST_CASE("rows of a head lie interleaved in a GGUF") {
  std::vector<Index> rows;
  for (Index row = 0; row < 8; ++row) rows.push_back(models::interleaved_row(row, 8));
  CHECK(rows == std::vector<Index>{0, 2, 4, 6, 1, 3, 5, 7});
  CHECK(models::interleaved_row(9, 4) == 10);
}

TEST_CASE("tensors of a GGUF are found by their other names, in place or decoded") {
  const TemporaryDirectory directory;
  const Matrix<float> a = random_matrix<float>(4, 32, 1), b = random_matrix<float>(1, 4, 2);
  io::GgufWriter writer;
  writer.add<float>("x", io::GgufType::F32, a);
  writer.add<float>("y", io::GgufType::Q8_0, a);
  writer.add("z", io::GgufType::F32, {4}, b.data());
  writer.write(directory.path() / "f.gguf");
  auto file = std::make_shared<const io::GgufReader>(directory.path() / "f.gguf");
  const GgufWeights weights(
      file, {{"plain", {"x"}}, {"turned", {"x", 4}}, {"coarse", {"y"}}, {"bias", {"z", 4}}});
  CHECK(weights.contains("plain"));
  CHECK(!weights.contains("x"));
  CHECK(weights.shape("plain") == io::Shape{4, 32});
  REQUIRE(weights.in_place<float>("plain") != nullptr);
  CHECK(weights.in_place<float>("plain")[5] == a(0, 5));
  CHECK(weights.in_place<float>("turned") == nullptr);
  CHECK(weights.in_place<float>("coarse") == nullptr);
  CHECK(weights.in_place<double>("plain") == nullptr);
  CHECK(same_bits(weights.read<float>("plain"), a));
  const Matrix<float> turned = weights.read<float>("turned"), bias = weights.read<float>("bias");
  CHECK(same_bits(turned.row(1), a.row(2)));
  CHECK(same_bits(turned.row(2), a.row(1)));
  CHECK(bias(0, 1) == b(0, 2));
  CHECK(largest_difference(weights.read<double>("coarse"), a.cast<double>()) < 0.03);
  check_throws<FileError>([&] { static_cast<void>(weights.shape("none")); },
                          "has no tensor for \"none\"");
  check_throws<FileError>(
      [&] {
        GgufWeights(file, {{"a", {"absent"}}});
      },
      "tensor \"absent\" is missing");
  check_throws<FileError>(
      [&] {
        GgufWeights(file, {{"a", {"x", 3}}});
      },
      "expected heads of 3 rows");
}

TEST_CASE("a tensor of a GGUF that has no place in the model is refused by name") {
  const TemporaryDirectory directory;
  const std::vector<float> zeros(4);
  io::GgufWriter writer;
  for (const char* name : {"x", "y", "z"}) writer.add(name, io::GgufType::F32, {4}, zeros.data());
  writer.write(directory.path() / "f.gguf");
  const GgufWeights weights(std::make_shared<const io::GgufReader>(directory.path() / "f.gguf"),
                            {{"a", {"x"}}, {"b", {"z"}}});
  CHECK_NOTHROW(weights.refuse_others("some", "y"));
  check_throws<FileError>([&] { weights.refuse_others("some"); },
                          "tensor \"y\" is none of a model of type some");
}

TEST_CASE("rows of a GGUF are looked at, or copied where heads are interleaved") {
  const TemporaryDirectory directory;
  const Matrix<float> a = random_matrix<float>(8, 32, 1);
  io::GgufWriter writer;
  writer.add<float>("x", io::GgufType::Q8_0, a);
  writer.write(directory.path() / "f.gguf");
  auto file = std::make_shared<const io::GgufReader>(directory.path() / "f.gguf");
  const std::span<const std::byte> bytes = file->tensor("x").bytes;
  models::StoredRows plain, turned;
  {
    const GgufWeights weights(std::move(file), {{"plain", {"x"}}, {"turned", {"x", 4}}});
    plain = weights.rows("plain");
    turned = weights.rows("turned");
  }
  CHECK(plain.format == kernels::BlockFormat::Q8_0);
  CHECK(plain.bytes.data() == bytes.data());
  CHECK(plain.owner.use_count() == 1);
  CHECK(plain.copied == 0);
  CHECK(turned.copied == bytes.size());
  REQUIRE(turned.bytes.size() == bytes.size());
  for (std::size_t row = 0; row < 8; ++row) {
    const auto from = static_cast<std::size_t>(models::interleaved_row(static_cast<Index>(row), 4));
    CHECK(std::ranges::equal(turned.bytes.subspan(row * 34, 34), bytes.subspan(from * 34, 34)));
  }
}
