#include <lora/io/gguf/gguf_parser.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>

#include "io/gguf/gguf_bytes.hpp"
#include "support/catch.hpp"
#include "support/safetensors_bytes.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::io;
using namespace lora::test;

namespace {

GgufContents parsed(const std::string& bytes) { return parse_gguf(as_bytes(bytes), "f.gguf"); }

void gguf_refused(const GgufParts& parts, const std::string& part) {
  check_throws<FileError>([&] { static_cast<void>(parsed(parts.bytes())); }, part);
}

std::string tensor_info(const std::string& name, std::int64_t size, std::uint32_t type,
                        std::uint64_t offset) {
  return raw_text(name) + raw(1U) + raw(size) + raw(type) + raw(offset);
}

}  // namespace

TEST_CASE("a small GGUF is the bytes of its reference, and is read") {
  std::string bytes;
  const std::string hex =
      "474755460300000001000000000000000100000000000000140000000000000067656e6572616c2e617263686974"
      "656374757265080000000500000000000000"
      "6c6c616d6101000000000000006101000000040000000000000000000000"
      "0000000000000000";
  for (std::size_t i = 0; i < hex.size(); i += 2)
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  CHECK(GgufParts().bytes().substr(0, bytes.size()) == bytes);
  const std::string file = GgufParts().bytes();
  const GgufContents contents = parsed(file);
  CHECK(contents.metadata.text("general.architecture") == "llama");
  const GgufTensor& tensor = contents.tensors.find("a")->second;
  CHECK(tensor.shape == Shape{4});
  CHECK(tensor.type == GgufType::F32);
  CHECK(tensor.bytes.size() == 16);
  CHECK(tensor.bytes.data() == as_bytes(file).data() + 128);
}

TEST_CASE("shapes of a GGUF turn round to PyTorch's") {
  GgufParts parts;
  parts.infos = raw_text("a") + raw(2U) + raw(std::int64_t{4}) + raw(std::int64_t{3}) + raw(0U) +
                raw(std::uint64_t{0});
  parts.data.resize(48);
  const std::string file = parts.bytes();
  CHECK(parsed(file).tensors.find("a")->second.shape == Shape{3, 4});
}

TEST_CASE("a GGUF may have no tensors, scalars, sizes of 0 and empty lists") {
  GgufParts parts;
  parts.version = 2;
  parts.key_count = 2;
  parts.keys += raw_text("list") + raw(9U) + raw(5U) + raw(std::uint64_t{0});
  parts.tensor_count = 0;
  parts.infos = parts.data = "";
  CHECK(parsed(parts.bytes()).metadata.numbers("list").empty());
  parts.tensor_count = 2;
  parts.infos =
      raw_text("s") + raw(0U) + raw(0U) + raw(std::uint64_t{0}) + tensor_info("z", 0, 0, 32);
  parts.data.resize(32);
  const std::string file = parts.bytes();
  const GgufContents contents = parsed(file);
  CHECK(contents.tensors.find("s")->second.size() == 1);
  CHECK(contents.tensors.find("z")->second.size() == 0);
}

TEST_CASE("what llama.cpp or gguf-py refuse in a GGUF is refused by name") {
  GgufParts parts;
  const auto with = [&](auto change, const std::string& part) {
    GgufParts spoilt = parts;
    change(spoilt);
    CAPTURE(part);
    gguf_refused(spoilt, part);
  };
  with([](auto& p) { p.magic = "GGML"; }, "does not begin with \"GGUF\"");
  with([](auto& p) { p.version = 1; }, "is of version 1, expected 2 or 3");
  with([](auto& p) { p.version = 4; }, "is of version 4");
  with([](auto& p) { p.version = 3U << 24; }, "perhaps of the other byte order");
  with([](auto& p) { p.tensor_count = 1000; }, "says that it has 1000 tensors");
  with([](auto& p) { p.key_count = std::numeric_limits<std::uint64_t>::max(); }, "keys, more than");
  with(
      [](auto& p) {
        p.key_count = 2;
        p.keys += p.keys;
      },
      "has the key \"general.architecture\" twice");
  with([](auto& p) { p.keys = raw_text("") + raw(8U) + raw_text("x"); }, "has an empty key");
  with([](auto& p) { p.keys = raw_text("k") + raw(8U) + raw(std::uint64_t{1} << 40); },
       "more than its");
  with([](auto& p) { p.keys = raw_text("k") + raw(13U) + raw(1U); }, "is of type 13");
  with([](auto& p) { p.keys = raw_text("k") + raw(9U) + raw(9U) + raw(std::uint64_t{0}); },
       "a list of lists");
  with([](auto& p) { p.keys = raw_text("k") + raw(9U) + raw(99U) + raw(std::uint64_t{0}); },
       "a list of type 99");
  with([](auto& p) { p.keys = raw_text("k") + raw(9U) + raw(4U) + raw(std::uint64_t{1} << 60); },
       "a list's elements");
  const auto alignment = [](const std::string& value) {
    return [value](auto& p) { p.keys = raw_text("general.alignment") + value; };
  };
  with(alignment(raw(4U) + raw(48U)), "general.alignment is not a power of two");
  with(alignment(raw(4U) + raw(0U)), "general.alignment");
  with(alignment(raw(8U) + raw_text("32")), "general.alignment");
  with(
      [](auto& p) {
        p.tensor_count = 2;
        p.infos += p.infos;
      },
      "has tensor \"a\" twice");
  with([](auto& p) { p.infos = tensor_info(std::string(64, 'n'), 4, 0, 0); }, "more than 63 bytes");
  with(
      [](auto& p) {
        p.infos = raw_text("a") + raw(5U);
        for (int i = 0; i < 5; ++i) p.infos += raw(std::int64_t{1});
        p.infos += raw(0U) + raw(std::uint64_t{0});
      },
      "has 5 dimensions, expected at most 4");
  with([](auto& p) { p.infos = tensor_info("a", -4, 0, 0); }, "dimension 0 is -4");
  with(
      [](auto& p) {
        p.infos = raw_text("a") + raw(2U) + raw(std::int64_t{1} << 40) +
                  raw(std::int64_t{1} << 40) + raw(0U) + raw(std::uint64_t{0});
      },
      "which no tensor has");
  with([](auto& p) { p.infos = tensor_info("a", 33, 8, 0); },
       "rows of 33 numbers are no whole blocks of 32 for Q8_0");
  with([](auto& p) { p.infos = tensor_info("a", 4, 4, 0); }, "type 4, which ggml does not have");
  with([](auto& p) { p.infos = tensor_info("a", 4, 99, 0); }, "type 99");
  with([](auto& p) { p.infos = tensor_info("a", 256, 10, 0); }, "Q2_K, which is not read");
  with([](auto& p) { p.infos = tensor_info("a", 4, 0, 32); }, "begins at offset 32, expected 0");
  with([](auto& p) { p.infos = tensor_info("a", 8, 0, 0); }, "it is cut off");
  with(
      [](auto& p) {
        p.tensor_count = 2;
        p.infos = tensor_info("a", 4, 0, 0) + tensor_info("b", 4, 0, 64);
        p.data.resize(96);
      },
      "tensor \"b\": begins at offset 64, expected 32");
}

TEST_CASE("a GGUF that is cut off anywhere is refused") {
  const std::string file = GgufParts().bytes();
  for (std::size_t size = 0; size < file.size(); ++size) {
    CAPTURE(size);
    CHECK_THROWS_AS(parsed(file.substr(0, size)), FileError);
  }
}

TEST_CASE("another alignment than 32 is followed") {
  GgufParts parts;
  parts.alignment = 64;
  parts.keys = raw_text("general.alignment") + raw(4U) + raw(64U);
  parts.tensor_count = 2;
  parts.infos = tensor_info("a", 4, 0, 0) + tensor_info("b", 4, 0, 64);
  parts.data = std::string(64, '\1') + std::string(16, '\2');
  const std::string file = parts.bytes();
  const GgufContents contents = parsed(file);
  CHECK(contents.tensors.find("b")->second.bytes[0] == std::byte{2});
}
