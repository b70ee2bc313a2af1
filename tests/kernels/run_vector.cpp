#include <lora/kernels/run_vector.hpp>

#include <array>
#include <cstdint>

#include "support/catch.hpp"

using namespace lora;
using namespace lora::kernels;

namespace {

constexpr auto lanes = static_cast<std::size_t>(run_width);

std::array<float, lanes> floats(const RunVector& vector) {
  std::array<float, lanes> values;
  store_run_vector(values.data(), vector);
  return values;
}

}  // namespace

TEST_CASE("codes of every kind become integers, at any address") {
  std::array<std::uint8_t, 2 * 16 + 1> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(250 + i);
  const RunInts plain = load_codes<std::uint8_t>(bytes.data() + 1);
  const RunInts negative = load_codes<std::int8_t>(bytes.data() + 1);
  const RunInts wide = load_codes<std::uint16_t>(bytes.data() + 1);
  for (int i = 0; i < run_width; ++i) {
    const auto at = static_cast<std::size_t>(i);
    CHECK(plain[i] == bytes[at + 1]);
    CHECK(negative[i] == static_cast<std::int8_t>(bytes[at + 1]));
    CHECK(wide[i] == bytes[2 * at + 1] + 256 * bytes[2 * at + 2]);
  }
}

TEST_CASE("a table gives the value of a code's four low bits") {
  std::array<float, 16> values{};
  for (std::size_t i = 0; i < 16; ++i) values[i] = 1 / static_cast<float>(i + 1);
  const RunTable table(values.data());
  for (int first = 0; first < 64; first += static_cast<int>(run_width)) {
    const auto found = floats(table.at(run_lanes() + first));
    const auto scaled = floats(table.scaled(3).at(run_lanes() + first));
    const auto ramp = floats(RunTable::ramp(-8, 0.5F).at(run_lanes() + first));
    const auto raised = floats(RunTable::ramp(0, 0.5F, 2).at(run_lanes() + first));
    for (std::size_t i = 0; i < lanes; ++i) {
      const std::size_t code = (static_cast<std::size_t>(first) + i) % 16;
      CHECK(found[i] == values[code]);
      CHECK(scaled[i] == 3 * values[code]);
      CHECK(ramp[i] == 0.5F * (static_cast<float>(code) - 8));
      CHECK(raised[i] == 0.5F * static_cast<float>(code) + 2);
    }
  }
}

TEST_CASE("a vector's floats are summed") {
  CHECK(sum_of(floats_of(run_lanes())) == static_cast<float>(run_width * (run_width - 1) / 2));
  CHECK(sum_of(run_vector(0.5F)) == 0.5F * static_cast<float>(run_width));
}
