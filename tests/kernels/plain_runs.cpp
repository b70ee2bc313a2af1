#include <lora/kernels/plain_runs.hpp>

#include <array>
#include <cstdint>
#include <vector>

#include "support/catch.hpp"

using namespace lora;
using namespace lora::kernels;

TEMPLATE_TEST_CASE("a run of plain numbers ends where they do", "", PlainFloat, PlainBFloat16,
                   PlainFloat16) {
  using Number = TestType;
  for (const Index count : {1, 7, 31, 32}) {
    CAPTURE(count);
    // Exactly as many bytes as there are numbers, so that a sanitizer sees reading beyond them.
    std::vector<std::uint8_t> bytes(static_cast<std::size_t>(count * Number::bytes));
    for (Index i = 0; i < count; ++i) {
      const auto number = static_cast<float>(i - 9) / 4;
      Number::encode(&number, bytes.data() + i * Number::bytes);
    }
    const PlainRun<Number> run(bytes.data(), count);
    std::array<float, static_cast<std::size_t>(run_length)> numbers;
    for (Index v = 0; v < run_vectors; ++v)
      store_run_vector(numbers.data() + v * run_width, run.vector(v));
    for (Index i = 0; i < run_length; ++i)
      CHECK(numbers[static_cast<std::size_t>(i)] ==
            (i < count ? static_cast<float>(i - 9) / 4 : 0.0F));
  }
}
