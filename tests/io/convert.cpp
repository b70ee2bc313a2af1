#include <lora/io/convert.hpp>

#include <array>
#include <limits>

#include "support/random_matrix.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::io;
using namespace lora::test;

namespace {

template <class Half>
Half from_bits(std::uint16_t bits) {
  Half half;
  std::memcpy(static_cast<void*>(&half), &bits, 2);
  return half;
}

template <class Half>
std::uint16_t bits_of_half(Half half) {
  std::uint16_t bits = 0;
  std::memcpy(&bits, static_cast<const void*>(&half), 2);
  return bits;
}

// Every value of the 16-bit type comes back from float and double as the same bits.
template <class Half>
void check_all_values() {
  int wrong = 0;
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const auto half = from_bits<Half>(static_cast<std::uint16_t>(bits));
    const auto single = convert_number<float>(half);
    const auto wide = convert_number<double>(half);
    if (std::isnan(single)) {
      wrong += !std::isnan(static_cast<float>(convert_number<Half>(wide)));
      continue;
    }
    wrong += static_cast<double>(single) != wide;
    wrong += bits_of_half(convert_number<Half>(single)) != bits;
    wrong += bits_of_half(convert_number<Half>(wide)) != bits;
  }
  CHECK(wrong == 0);
}

// Between each pair of neighbours: the middle goes to the even one, and what is the least bit of a
// double away from the middle goes to the nearer one, though it rounds to the middle as a float.
template <class Half>
void check_rounding_of_doubles() {
  int wrong = 0;
  const std::uint16_t infinity = bits_of_half(std::numeric_limits<Half>::infinity());
  for (std::uint16_t bits = 0; bits + 1 < infinity; ++bits) {
    const auto low = convert_number<double>(from_bits<Half>(bits));
    const auto high = convert_number<double>(from_bits<Half>(static_cast<std::uint16_t>(bits + 1)));
    const double middle = low + (high - low) / 2;
    const auto even = static_cast<std::uint16_t>(bits % 2 == 0 ? bits : bits + 1);
    for (const double sign : {1.0, -1.0}) {
      const auto rounded = [&](double value) {
        return bits_of_half(convert_number<Half>(sign * value)) & 0x7FFF;
      };
      wrong += rounded(middle) != even;
      wrong += rounded(std::nextafter(middle, 0)) != bits;
      wrong += rounded(std::nextafter(middle, high)) != bits + 1;
    }
  }
  CHECK(wrong == 0);
}

}  // namespace

TEST_CASE("half precision keeps every value") {
  check_all_values<Eigen::half>();
  check_all_values<Eigen::bfloat16>();
}

TEST_CASE("doubles are rounded to half precision once") {
  check_rounding_of_doubles<Eigen::half>();
  check_rounding_of_doubles<Eigen::bfloat16>();
}

TEST_CASE("encode and decode go through every type") {
  const Matrix<double> numbers = random_matrix<double>(3, 5, 1) * 100;
  for (const DType dtype : {DType::F64, DType::F32, DType::F16, DType::BF16}) {
    CAPTURE(name_of(dtype));
    // One byte in front: nothing in a file is aligned.
    std::vector<std::byte> bytes(15 * bits_of(dtype) / 8 + 1);
    encode(numbers.data(), 15, dtype, bytes.data() + 1, "x");
    Matrix<double> wide(3, 5);
    Matrix<float> single(3, 5);
    decode(bytes.data() + 1, dtype, 15, wide.data(), "x");
    decode(bytes.data() + 1, dtype, 15, single.data(), "x");
    const double half_ulp = dtype == DType::F64   ? 0
                            : dtype == DType::F32 ? 0x1p-24
                            : dtype == DType::F16 ? 0x1p-11
                                                  : 0x1p-8;
    CHECK(((wide - numbers).array().abs() <= half_ulp * numbers.array().abs()).all());
    CHECK((single.array() == wide.cast<float>().array()).all());
  }
}

TEST_CASE("numbers that do not fit are errors, infinities and NaN are numbers") {
  std::array<std::byte, 32> bytes{};
  const double huge = 1e300, large = 1e6;
  check_throws<FileError>([&] { encode(&huge, 1, DType::F32, bytes.data(), "x"); },
                          "x: element 0 is 1e+300, too large for F32");
  check_throws<FileError>([&] { encode(&large, 1, DType::F16, bytes.data(), "x"); }, "F16");
  CHECK_NOTHROW(encode(&large, 1, DType::BF16, bytes.data(), "x"));
  const std::array<double, 3> special{HUGE_VAL, -HUGE_VAL, std::nan("")};
  for (const DType dtype : {DType::F64, DType::F32, DType::F16, DType::BF16}) {
    encode(special.data(), 3, dtype, bytes.data(), "x");
    std::array<float, 3> back{};
    decode(bytes.data(), dtype, 3, back.data(), "x");
    CHECK(back[0] == HUGE_VALF);
    CHECK(back[1] == -HUGE_VALF);
    CHECK(std::isnan(back[2]));
  }
  encode(&huge, 1, DType::F64, bytes.data(), "x");
  float single = 0;
  check_throws<FileError>([&] { decode(bytes.data(), DType::F64, 1, &single, "y"); },
                          "y: element 0 is 1e+300, too large for F32");
  check_throws<FileError>([&] { decode(bytes.data(), DType::I32, 1, &single, "y"); },
                          "y: dtype is I32, expected one of F64, F32, F16, BF16");
}
