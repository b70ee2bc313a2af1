#include <lora/io/gguf/gguf_type.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include <lora/io/safetensors/safetensors_reader.hpp>

#include "support/catch.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::io;
using namespace lora::test;

TEST_CASE("blocks of every format are decoded to gguf-py's bits, and encoded to its bytes") {
  const SafetensorsReader golden(std::string(LORA_GOLDEN_DIR) + "/gguf/blocks.safetensors");
  for (const GgufTypeInfo& info : gguf_types) {
    const std::string name = info.name;
    CAPTURE(name);
    if (!golden.tensors().contains(name + ".bytes")) {
      CHECK(info.weights == 1);
      continue;
    }
    const auto& bytes = golden.tensor(name + ".bytes");
    const Matrix<float> expected = golden.read<float>(name + ".decoded");
    REQUIRE(static_cast<Index>(bytes.bytes.size()) / info.bytes * info.weights == expected.size());
    std::vector<float> decoded(static_cast<std::size_t>(expected.size()));
    decode_gguf(info.type, bytes.bytes.data(), expected.size(), decoded.data());
    CHECK(std::memcmp(decoded.data(), expected.data(), decoded.size() * sizeof(float)) == 0);
    if (!golden.tensors().contains(name + ".values")) {
      check_throws<FileError>([&] { encode_gguf(info.type, decoded.data(), 256, nullptr, "here"); },
                              "here: " + name + " is read, but not written");
      continue;
    }
    const Matrix<float> values = golden.read<float>(name + ".values");
    std::vector<std::byte> encoded(bytes.bytes.size());
    encode_gguf(info.type, values.data(), values.size(), encoded.data(), "test");
    CHECK(std::equal(encoded.begin(), encoded.end(), bytes.bytes.begin()));
  }
}

TEST_CASE("numbers of one to four bytes go through a file and back") {
  const std::vector<float> values{1.5F, -2, 0.25F, 1024};
  for (const GgufType type : {GgufType::F32, GgufType::F16, GgufType::BF16}) {
    std::vector<std::byte> bytes(static_cast<std::size_t>(4 * gguf_type(type).bytes));
    std::vector<float> back(4);
    encode_gguf(type, values.data(), 4, bytes.data(), "test");
    decode_gguf(type, bytes.data(), 4, back.data());
    CHECK(back == values);
  }
}

TEST_CASE("numbers that a type cannot hold are refused, not written as infinity or nonsense") {
  std::vector<float> values(32, 1.0F);
  std::vector<std::byte> bytes(128);
  const auto refusal = [&](GgufType type, const std::string& expected) {
    check_throws<FileError>([&] { encode_gguf(type, values.data(), 32, bytes.data(), "here"); },
                            expected);
  };
  values[3] = 7e4F;
  refusal(GgufType::F16, "here: element 3 is 70000, which does not fit F16");
  encode_gguf(GgufType::BF16, values.data(), 32, bytes.data(), "here");
  values[3] = 3e7F;  // over the 127 steps of a scale that is a half
  refusal(GgufType::Q8_0, "which does not fit Q8_0");
  refusal(GgufType::Q4_0, "which does not fit Q4_0");
  values[3] = 3.4e38F;
  refusal(GgufType::BF16, "which does not fit BF16");
  values[3] = std::numeric_limits<float>::quiet_NaN();
  refusal(GgufType::Q8_0, "here: element 3 is nan, not for Q8_0");
  refusal(GgufType::Q4_1, "is nan, not for Q4_1");
  encode_gguf(GgufType::F16, values.data(), 32, bytes.data(), "here");
  std::vector<float> back(32);
  decode_gguf(GgufType::F16, bytes.data(), 32, back.data());
  CHECK(std::isnan(back[3]));
  CHECK(back[4] == 1);
}

TEST_CASE("types that are not read are refused by name") {
  CHECK(std::string(gguf_type(14, "here").name) == "Q6_K");
  check_throws<FileError>([] { static_cast<void>(gguf_type(10, "here")); },
                          "here: is of type Q2_K, which is not read");
  check_throws<FileError>([] { static_cast<void>(gguf_type(4, "here")); },
                          "here: is of type 4, which ggml does not have");
}
