#include <lora/models/common/int8_tensor.hpp>

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/stored_codes.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::models;
using namespace lora::test;

namespace {

const std::string int8_module = "model.layers.0.mlp.down_proj.";  // (48, 56)
const std::string int8_weight = int8_module + "weight";

void refused(const std::function<void(StoredCodes&)>& change, const char* what) {
  CAPTURE(what);
  StoredCodes stored("int8");
  change(stored);
  io::ModelReader files(stored.write());
  REQUIRE(is_int8_tensor(files, int8_weight));
  check_throws<FileError>([&] { static_cast<void>(read_int8_tensor(files, int8_weight)); }, what);
}

}  // namespace

TEST_CASE("codes of eight bits are taken as they lie") {
  io::ModelReader files(std::filesystem::path(LORA_GOLDEN_DIR) / "quantised_model" / "int8");
  CHECK(!is_int8_tensor(files, "lm_head.weight"));
  CHECK(!is_int8_tensor(files, "none.weight"));
  CHECK(!is_int8_tensor(files, int8_module + "SCB"));
  const Int8Tensor tensor = read_int8_tensor(files, int8_weight);
  const Int8Weight<float> made = tensor.weight<float>();
  CHECK(made.out_features() == 48);
  CHECK(made.in_features() == 56);
  CHECK(made.code(1, 2) == tensor.codes[56 + 2]);
  CHECK(made.scale(3) == tensor.scales[3]);
}

TEST_CASE("codes of eight bits without their scales, or in another order, are refused") {
  refused([](StoredCodes& s) { s.erase(int8_module + "SCB"); }, "it cannot be decoded");
  const std::vector<float> scales(48, -1.0F);
  refused([&](StoredCodes& s) { s.set(int8_module + "SCB", scales.data(), 47 * sizeof(float)); },
          "SCB\" is of shape (47,) in F32, expected 48 in F32");
  refused([&](StoredCodes& s) { s.set(int8_module + "SCB", scales.data(), 48 * sizeof(float)); },
          "SCB\" has -1 at 0");
  refused(
      [&](StoredCodes& s) {
        const std::vector<float> infinite(48, std::numeric_limits<float>::infinity());
        s.set(int8_module + "SCB", infinite.data(), 48 * sizeof(float));
      },
      "SCB\" has inf at 0, expected finite magnitudes");
  refused([](StoredCodes& s) { s[int8_module + "weight_format"].bytes[0] = std::byte{2}; },
          "weight_format\" is not 0: codes that do not lie row by row are not read");
  refused([](StoredCodes& s) { s[int8_weight].shape = {48 * 56}; }, "expected two dimensions");
}
