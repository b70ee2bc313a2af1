#include <lora/frozen/four_bit_weight.hpp>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "contracts/adapter_over.hpp"
#include "contracts/frozen_weight.hpp"
#include "support/golden.hpp"
#include "support/random_matrix.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

namespace {

template <class Number>
std::vector<Number> numbers_of(const Matrix<float>& matrix) {
  std::vector<Number> numbers;
  for (Index i = 0; i < matrix.size(); ++i)
    numbers.push_back(static_cast<Number>(matrix.data()[i]));
  return numbers;
}

struct Case {
  std::string name;
  Index block;
};

const std::vector<Case> cases{{"pattern", 64}, {"straddling", 64},    {"ragged", 64},
                              {"odd", 32},     {"large_blocks", 512}, {"midpoints", 64},
                              {"zeros", 64}};

template <class Format>
void check_golden(const std::string& kind) {
  const Golden<float> golden("../quantised/bitsandbytes");
  for (const auto& [name, block] : cases) {
    CAPTURE(name, kind);
    const Matrix<float>& w = golden[name + ".w"];
    const std::string at = name + "." + kind;
    const FourBitWeight<float, Format> weight(w, {.block_size = block});
    CHECK(weight.packed() == numbers_of<std::uint8_t>(golden[at + ".codes"]));
    const Matrix<float>& scales = golden[at + ".scales"];
    REQUIRE(weight.scales().size() == static_cast<std::size_t>(scales.size()));
    for (Index i = 0; i < scales.size(); ++i)
      CHECK(weight.scales()(static_cast<std::size_t>(i)) == scales.data()[i]);
    const Matrix<float>& decoded = golden[at + ".decoded"];
    CHECK(same_bits(weight.dense(), decoded));

    // What bitsandbytes stored gives the same weight.
    const FourBitWeight<float, Format> read(numbers_of<std::uint8_t>(golden[at + ".codes"]),
                                            FourBitScales(numbers_of<float>(scales)), block,
                                            w.rows(), w.cols());
    CHECK(same_bits(read.dense(), decoded));
    CHECK(read.packed() == weight.packed());
  }
  const auto codes = numbers_of<std::uint8_t>(golden["straddling." + kind + ".codes"]);
  const std::string at = "straddling." + kind + ".nested_";
  const FourBitWeight<float, Format> nested(
      codes,
      FourBitScales(numbers_of<std::uint8_t>(golden[at + "codes"]),
                    numbers_of<float>(golden[at + "scales"]), golden[at + "offset"](0, 0),
                    kernels::dynamic_values()),
      64, 6, 96);
  CHECK(same_bits(nested.dense(), golden[at + "decoded"]));
}

}  // namespace

TEMPLATE_TEST_CASE("NF4Weight and FP4Weight keep the contract of a frozen weight", "", float,
                   double) {
  using T = TestType;
  check_storage<T>([](const Matrix<T>& w) { return NF4Weight<T>(w); });
  check_storage<T>([](const Matrix<T>& w) {
    return FP4Weight<T>(w, {.block_size = 128, .double_quantised = true});
  });
  static_assert(!MergeableWeight<NF4Weight<T>, T>);
}

TEST_CASE("weights of four bits have bitsandbytes' codes, scales and numbers, to the bit") {
  check_golden<kernels::NF4>("nf4");
  check_golden<kernels::FP4>("fp4");
}

TEST_CASE("weights of four bits take the bytes that their format says") {
  const Matrix<float> w = random_matrix<float>(64, 512, 1);
  CHECK(NF4Weight<float>(w).bytes() == 64 * 512 / 2 + 64 * 512 / 64 * 4);
  const NF4Weight<float> nested(w, {.double_quantised = true});
  CHECK(nested.bytes() == 64 * 512 / 2 + 64 * 512 / 64 + 64 * 512 / 64 / 256 * 4);
  CHECK(largest_difference(nested.dense(), w.cast<double>()) < 0.5);
}

TEST_CASE("float and double see the same four-bit weight") {
  const Matrix<float> w = random_matrix<float>(20, 70, 1);
  const Matrix<double> wide = w.cast<double>();
  CHECK(NF4Weight<double>(wide).dense() == NF4Weight<float>(w).dense().cast<double>());
}

TEST_CASE("one row meets each number's own scale, wherever blocks begin in a row of W") {
  for (const Index in : {32, 96, 128, 160, 192, 320}) {
    const Matrix<float> w = random_matrix<float>(5, in, 1), x = random_matrix<float>(1, in, 2),
                        dy = random_matrix<float>(1, 5, 3);
    for (const Index block : {32, 64, 128, 256}) {
      CAPTURE(in, block);
      const NF4Weight<float> weight(w, {.block_size = block, .double_quantised = block == 128});
      const Matrix<double> decoded = weight.dense().cast<double>();
      Matrix<float> y = Matrix<float>::Zero(1, 5), dx = Matrix<float>::Zero(1, in);
      weight.add_product(x, y);
      weight.add_transposed_product(dy, dx);
      CHECK(largest_difference(y, x.cast<double>() * decoded.transpose()) <=
            Tolerance<float>(in).value);
      CHECK(largest_difference(dx, dy.cast<double>() * decoded) <= Tolerance<float>(5).value);
    }
  }
}

TEST_CASE("an adapter over NF4 and FP4 trains as over the decoded weight") {
  const Matrix<float> w = random_matrix<float>(70, 64, 1);
  check_adapter_over(NF4Weight<float>(w));
  check_adapter_over(FP4Weight<float>(w, {.double_quantised = true}));
}

TEST_CASE("what cannot be rounded to four bits is refused by its place") {
  Matrix<float> w = random_matrix<float>(3, 40, 1);
  w(2, 5) = std::numeric_limits<float>::quiet_NaN();
  check_throws<ConfigError>([&] { NF4Weight<float>{w}; }, "W(2, 5) = nan");
  w(2, 5) = std::numeric_limits<float>::infinity();
  check_throws<ConfigError>([&] { FP4Weight<float>{w}; }, "W(2, 5) = inf");
  const Matrix<double> large = Matrix<double>::Constant(1, 1, 1e300);
  check_throws<ConfigError>([&] { NF4Weight<double>{large}; }, "W(0, 0) = 1e+300");
  const Matrix<float> fine = random_matrix<float>(3, 40, 1);
  for (const Index block : {Index{0}, Index{16}, Index{48}, Index{8192}})
    check_throws<ConfigError>([&] { NF4Weight<float>(fine, {.block_size = block}); },
                              "expected a power of two");
  const std::vector<std::uint8_t> codes(60);
  const auto read = [&](std::size_t bytes, std::vector<float> scales, Index block, Index out) {
    return NF4Weight<float>(std::span(codes).first(bytes), FourBitScales(std::move(scales)), block,
                            out, 40);
  };
  CHECK(read(60, {1, 2}, 64, 3).out_features() == 3);
  check_throws<ShapeError>([&] { static_cast<void>(read(59, {1, 2}, 64, 3)); }, "59 bytes");
  check_throws<ShapeError>([&] { static_cast<void>(read(60, {1}, 64, 3)); }, "1 scales");
  check_throws<ShapeError>([&] { static_cast<void>(read(60, {1, 2}, 64, -3)); }, "(-3, 40)");
  check_throws<ShapeError>(
      [&] {
        static_cast<void>(read(60, {1, 2}, 64, std::numeric_limits<Index>::max() / 2));
      },
      "W is");
  check_throws<ConfigError>(
      [&] {
        static_cast<void>(read(60, {1, std::nanf("")}, 64, 3));
      },
      "the scale of block 1 is nan");
  // Sizes of no numbers at all take no time, and too few scales of scales are not read.
  const Index most = std::numeric_limits<Index>::max();
  check_throws<ShapeError>([&] { NF4Weight<float>({}, FourBitScales(), 64, 0, most); }, "W is");
  CHECK(NF4Weight<float>({}, FourBitScales(), 64, most / 2, 0).packed().empty());
  check_throws<ShapeError>(
      [] {
        FourBitScales(std::vector<std::uint8_t>(600), {1, 2}, 0, kernels::dynamic_values());
      },
      "2 scales of 600 codes, expected 3");
}

TEST_CASE("scales that are hardly numbers are quantised once more without a division by zero") {
  Matrix<float> w = Matrix<float>::Zero(3, 64);
  w(1, 0) = 1e-39F;
  w(2, 0) = 2e-39F;
  const NF4Weight<float> weight(w, {.double_quantised = true});
  for (const int i : {0, 1, 2})
    CHECK(std::abs(weight.scales()(static_cast<std::size_t>(i)) - 1e-39F * static_cast<float>(i)) <=
          1e-40F);
}
