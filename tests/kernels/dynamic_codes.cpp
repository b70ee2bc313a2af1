#include <lora/kernels/dynamic_codes.hpp>

#include <string>

#include "support/catch.hpp"
#include "support/golden.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("the dynamic codes' values and codes are bitsandbytes', to the bit") {
  const Golden<float> golden("../quantised/bitsandbytes");
  const auto values = kernels::dynamic_values();
  const Matrix<float>& expected = golden["dynamic.values"];
  REQUIRE(expected.size() == 256);
  for (std::size_t i = 0; i < 256; ++i) CHECK(values[i] == expected.data()[i]);
  for (int i = 0; i < 4; ++i) {
    CAPTURE(i);
    const std::string at = "dynamic." + std::to_string(i);
    const Matrix<float>& numbers = golden[at + ".numbers"];
    const auto encoded =
        kernels::encode_dynamic({numbers.data(), static_cast<std::size_t>(numbers.size())});
    const Matrix<float>& codes = golden[at + ".codes"];
    const Matrix<float>& scales = golden[at + ".scales"];
    REQUIRE(encoded.codes.size() == static_cast<std::size_t>(codes.size()));
    REQUIRE(encoded.scales.size() == static_cast<std::size_t>(scales.size()));
    bool same = true;
    for (std::size_t k = 0; k < encoded.codes.size(); ++k)
      same = same && encoded.codes[k] == static_cast<int>(codes.data()[k]);
    CHECK(same);
    for (std::size_t k = 0; k < encoded.scales.size(); ++k)
      CHECK(encoded.scales[k] == scales.data()[k]);
  }
  const auto zeros = kernels::encode_dynamic(std::vector<float>(3));
  CHECK(zeros.codes == std::vector<std::uint8_t>(3));
  CHECK(kernels::encode_dynamic({}).codes.empty());
}
