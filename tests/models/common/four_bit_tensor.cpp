#include <lora/models/common/four_bit_tensor.hpp>

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/stored_codes.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::models;
using namespace lora::test;

namespace {

const std::string four_bit_weight = "model.layers.0.mlp.down_proj.weight";  // (48, 56)
const std::string four_bit_weight_state = four_bit_weight + ".quant_state.bitsandbytes__nf4";

FourBitTensor read(io::ModelReader& files) {
  const auto found = find_four_bit_state(files, four_bit_weight);
  REQUIRE(found);
  return read_four_bit_tensor(files, four_bit_weight, *found);
}

void refused(const std::string& name, const std::function<void(StoredCodes&)>& change,
             const char* what) {
  CAPTURE(what);
  StoredCodes stored(name);
  change(stored);
  io::ModelReader files(stored.write());
  check_throws<FileError>([&] { static_cast<void>(read(files)); }, what);
}

void set_state(StoredCodes& stored, const std::string& text) {
  stored.set(four_bit_weight_state, text.data(), text.size());
}

}  // namespace

TEST_CASE("codes are taken as they lie, and decoded alike by weight and matrix") {
  for (const std::string name : {"nf4", "nf4_nested"}) {
    io::ModelReader files(std::filesystem::path(LORA_GOLDEN_DIR) / "quantised_model" / name);
    CHECK(!find_four_bit_state(files, "lm_head.weight"));
    const FourBitTensor tensor = read(files);
    CHECK(tensor.state.nested == (name == "nf4_nested"));
    CHECK(static_cast<const void*>(tensor.packed.data()) ==
          files.tensor(four_bit_weight).bytes.data());
    const auto made = FourBitTensor(tensor).weight<float, kernels::NF4>();
    CHECK(made.packed() == std::vector(tensor.packed.begin(), tensor.packed.end()));
    CHECK(same_bits(made.dense(), FourBitTensor(tensor).dense<float>()));
    CHECK(made.dense().rows() == 48);
  }
}

TEST_CASE("parts that contradict the state are refused") {
  refused(
      "nf4", [](StoredCodes& s) { s.set(four_bit_weight, std::string(1343, 0).data(), 1343); },
      "has 1343 bytes of codes, expected 1344 of a W (48, 56)");
  refused(
      "nf4",
      [](StoredCodes& s) {
        set_state(s, R"({"quant_type": "nf4", "blocksize": 128, "shape": [48, 56]})");
      },
      ".absmax\" is of shape (42,) in F32, expected 21 in F32");
  refused(
      "nf4",
      [](StoredCodes& s) {
        set_state(s, R"({"quant_type": "nf4", "blocksize": 64, "shape": [48, 2000000000]})");
      },
      "has 1344 bytes of codes, expected 48000000000");
  refused(
      "nf4_nested",
      [](StoredCodes& s) {
        set_state(s, R"({"quant_type": "nf4", "blocksize": 64, "shape": [48, 56]})");
      },
      ".absmax\" is of shape (42,) in U8, expected 42 in F32");
  refused(
      "nf4_nested", [](StoredCodes& s) { s.erase(four_bit_weight + ".nested_quant_map"); },
      "nested_quant_map\" is missing");
  refused(
      "nf4", [](StoredCodes& s) { s.erase(four_bit_weight_state); }, "it cannot be decoded");
  refused(
      "nf4", [](StoredCodes& s) { s[four_bit_weight_state].dtype = io::DType::I8; },
      "expected a text in U8");
}

TEST_CASE("another table of values and scales that are no numbers are refused") {
  refused(
      "nf4",
      [](StoredCodes& s) {
        s.set(four_bit_weight + ".quant_map", kernels::FP4::values.data(), 16 * sizeof(float));
      },
      "has 0 at 0, expected -1, what the code stands for in nf4");
  const std::vector<float> scales(42, std::numeric_limits<float>::quiet_NaN());
  refused(
      "nf4",
      [&](StoredCodes& s) {
        s.set(four_bit_weight + ".absmax", scales.data(), 42 * sizeof(float));
      },
      ".absmax\" has nan at 0, expected finite numbers");
  refused(
      "nf4_nested",
      [&](StoredCodes& s) {
        s.set(four_bit_weight + ".nested_absmax", scales.data(), sizeof(float));
      },
      ".nested_absmax\" has nan at 0");
  const std::vector<float> negative(42, -1.0F);
  refused(
      "nf4",
      [&](StoredCodes& s) {
        s.set(four_bit_weight + ".absmax", negative.data(), 42 * sizeof(float));
      },
      ".absmax\" has -1 at 0, expected a largest absolute value");
  refused(
      "nf4_nested",
      [&](StoredCodes& s) {
        s.set(four_bit_weight + ".nested_absmax", negative.data(), sizeof(float));
      },
      ".nested_absmax\" has -1 at 0");
}

TEST_CASE("a weight with states of both types is refused") {
  refused(
      "nf4",
      [](StoredCodes& s) {
        s.add(s[four_bit_weight_state], four_bit_weight + ".quant_state.bitsandbytes__fp4");
      },
      "has a quant_state of nf4 and one of fp4");
}
