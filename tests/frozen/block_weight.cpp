#include <lora/frozen/block_weight.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <span>
#include <vector>

#include "contracts/adapter_over.hpp"
#include "contracts/frozen_weight.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::test;
using Format = kernels::BlockFormat;

namespace {

constexpr Format formats[] = {Format::F32,  Format::F16,  Format::BF16, Format::Q4_0,
                              Format::Q4_1, Format::Q5_0, Format::Q5_1, Format::Q8_0,
                              Format::Q4_K, Format::Q5_K, Format::Q6_K};

Index weights_of(Format format) {
  return kernels::visit_format(format,
                               []<class Block>(Block) { return kernels::block_weights<Block>; });
}

Index bytes_of(Format format) {
  return kernels::visit_format(format, []<class Block>(Block) -> Index { return Block::bytes; });
}

// The numbers of a row of blocks, one after the other.
void decode(Format format, const std::uint8_t* in, Index count, float* out) {
  kernels::visit_format(format, [&]<class Block>(Block) {
    constexpr Index size = kernels::block_weights<Block>;
    for (Index i = 0; i < count; i += size, in += Block::bytes, out += size) Block::decode(in, out);
  });
}

// Blocks of any codes, whose scales are of the size of one.
std::vector<std::byte> random_blocks(Format format, Index rows, Index columns) {
  const Index count = rows * columns / weights_of(format), size = bytes_of(format);
  std::vector<std::byte> blocks(static_cast<std::size_t>(count * size));
  std::mt19937 random(3);
  for (std::byte& byte : blocks) byte = static_cast<std::byte>(random());
  const auto put = [&](Index at, float value) {
    const std::uint16_t bits = kernels::half_of_float(value);
    std::memcpy(blocks.data() + at, &bits, sizeof(bits));
  };
  for (Index b = 0; b < count; ++b) {
    const float value = static_cast<float>(random() % 2048) / 4096 - 0.25F;
    if (format == Format::F32)
      std::memcpy(blocks.data() + b * size, &value, sizeof(value));
    else if (format == Format::Q6_K)
      put(b * size + 208, value / 64);
    else
      put(b * size, value / (size > 100 ? 64 : 1));  // of bfloat16 some number too
    if (format == Format::Q4_1 || format == Format::Q5_1) put(b * size + 2, value / 2);
    if (format == Format::Q4_K || format == Format::Q5_K) put(b * size + 2, value / 32);
  }
  return blocks;
}

}  // namespace

TEMPLATE_TEST_CASE("BlockWeight keeps the contract of a frozen weight", "", float, double) {
  using T = TestType;
  check_storage<T>([](const Matrix<T>& w) { return BlockWeight<T>::encoded(Format::F32, w); });
  static_assert(!MergeableWeight<BlockWeight<T>, T>);
}

TEST_CASE("BlockWeight decodes every format to its bits, wherever its blocks lie") {
  for (const Format format : formats) {
    const Index out = 53, in = weights_of(format) == 1 ? 531 : 512;
    CAPTURE(static_cast<int>(format));
    std::vector<std::byte> blocks = random_blocks(format, out, in);
    const Index row_bytes = in / weights_of(format) * bytes_of(format);
    Matrix<float> expected(out, in);
    for (Index o = 0; o < out; ++o)
      decode(format, reinterpret_cast<const std::uint8_t*>(blocks.data()) + o * row_bytes, in,
             expected.data() + o * in);
    REQUIRE(expected.allFinite());
    // At an odd address, with nothing behind the last block.
    const auto odd = std::make_shared<std::vector<std::byte>>(blocks.size() + 1);
    std::copy(blocks.begin(), blocks.end(), odd->begin() + 1);
    const BlockWeight<float> weight(format, std::span(*odd).subspan(1), out, in, odd);
    CHECK(weight.format() == format);
    CHECK(weight.bytes() == 0);
    CHECK(same_bits(weight.dense(), expected));
    check_panels<float>(weight.panels(), Matrix<float>(expected.transpose()));
    check_panels<float>(weight.transposed_panels(), expected);
    const BlockWeight<double> wide(format, blocks, out, in);
    CHECK(wide.dense() == expected.cast<double>());

    for (const Index n : {1, 2, 5, 8, 9, 40}) {
      CAPTURE(n);
      const Matrix<float> x = random_matrix<float>(n, in, 2), dy = random_matrix<float>(n, out, 3);
      Matrix<float> y = Matrix<float>::Ones(n, out), dx = Matrix<float>::Ones(n, in);
      weight.add_product(x, y);
      weight.add_transposed_product(dy, dx);
      const Matrix<double> w = expected.cast<double>();
      const Matrix<double> y_expected = (x.cast<double>() * w.transpose()).array() + 1;
      const Matrix<double> dx_expected = (dy.cast<double>() * w).array() + 1;
      const double size = w.cwiseAbs().maxCoeff() + 1;
      CHECK(largest_difference(y, y_expected) <= size * Tolerance<float>(in).value);
      CHECK(largest_difference(dx, dx_expected) <= size * Tolerance<float>(out).value);
    }
  }
}

TEST_CASE("BlockWeight gives the same bits for any number of threads in every format") {
  for (const Format format : formats) {
    if (weights_of(format) > 32) continue;
    CAPTURE(static_cast<int>(format));
    check_frozen_weight_threads<float>(
        [&](const Matrix<float>& w) { return BlockWeight<float>::encoded(format, w); }, 1024);
  }
}

TEST_CASE("BlockWeight is made of a float weight as gguf-py does it, in the format's bytes") {
  const Matrix<float> w = random_matrix<float>(9, 64, 1);
  const auto weight = BlockWeight<float>::encoded(Format::Q8_0, w);
  CHECK(weight.bytes() == 9 * 64 / 32 * 34);
  Matrix<float> expected(9, 64);
  for (Index i = 0; i < w.size(); i += 32) {
    std::uint8_t block[34];
    kernels::BlockQ8_0::encode(w.data() + i, block);
    kernels::BlockQ8_0::decode(block, expected.data() + i);
  }
  CHECK(same_bits(weight.dense(), expected));
  const auto half = BlockWeight<float>::encoded(Format::BF16, random_matrix<float>(3, 7, 1));
  CHECK(half.bytes() == 42);
}

TEST_CASE("an adapter over a BlockWeight trains as over the decoded weight") {
  const Matrix<float> w = random_matrix<float>(70, 64, 1);
  for (const Format format : {Format::Q4_0, Format::Q8_0, Format::BF16})
    check_adapter_over(BlockWeight<float>::encoded(format, w));
}

TEST_CASE("what is no weight in blocks is refused") {
  const std::vector<std::byte> blocks(34 * 6);
  const auto view = [&](std::size_t bytes, Index out, Index in) {
    return BlockWeight<float>(Format::Q8_0, std::span(blocks).first(bytes), out, in);
  };
  CHECK(view(34 * 6, 3, 64).out_features() == 3);
  check_throws<ShapeError>([&] { static_cast<void>(view(34 * 6, 3, 60)); },
                           "expected whole blocks of 32");
  check_throws<ShapeError>([&] { static_cast<void>(view(34 * 5, 3, 64)); },
                           "170 bytes of blocks, expected 3 rows of 68");
  check_throws<ShapeError>([&] { static_cast<void>(view(34 * 6, -3, 64)); }, "W is (-3, 64)");
  check_throws<ShapeError>([&] { static_cast<void>(view(0, Index{1} << 60, 64)); }, "0 bytes");

  const Index most = std::numeric_limits<Index>::max();
  for (const Format format : {Format::F32, Format::F16})
    for (const Index in : {most, (Index{1} << 62) + 1, Index{1} << 62})
      check_throws<ShapeError>([&] { BlockWeight<float>(format, {}, 5, in); }, "BlockWeight");

  Matrix<float> w = random_matrix<float>(2, 64, 1);
  check_throws<ConfigError>(
      [&] { static_cast<void>(BlockWeight<float>::encoded(Format::Q6_K, w)); },
      "read, and not written");
  w(1, 3) = std::numeric_limits<float>::infinity();
  for (const Format format : {Format::Q4_0, Format::Q8_0, Format::F16, Format::F32})
    check_throws<ConfigError>([&] { static_cast<void>(BlockWeight<float>::encoded(format, w)); },
                              "W(1, 3) = inf");
  w(1, 3) = 1e30F;
  check_throws<ConfigError>(
      [&] { static_cast<void>(BlockWeight<float>::encoded(Format::Q4_1, w)); }, "do not fit");
  check_throws<ConfigError>([&] { static_cast<void>(BlockWeight<float>::encoded(Format::F16, w)); },
                            "does not fit");
}

TEST_CASE("BlockWeight counts the bytes of a copy that was made for it") {
  const auto copy = std::make_shared<std::vector<std::byte>>(2 * 34);
  const BlockWeight<float> weight(Format::Q8_0, *copy, 2, 32, copy, copy->size());
  CHECK(weight.bytes() == 68);
  CHECK(copy.use_count() == 2);
}

TEST_CASE("a weight that is infinite gives the same from few rows as from panels") {
  for (const Index out : {4, 5, 6, 7}) {
    CAPTURE(out);
    Matrix<float> w = Matrix<float>::Ones(out, 8);
    w(out - 1, 3) = std::numeric_limits<float>::infinity();
    const std::span<const float> numbers(w.data(), static_cast<std::size_t>(w.size()));
    const BlockWeight<float> weight(Format::F32, std::as_bytes(numbers), out, 8);
    for (const Index n : {1, 2, 9}) {
      Matrix<float> dx = Matrix<float>::Zero(n, 8);
      weight.add_transposed_product(Matrix<float>(Matrix<float>::Ones(n, out)), dx);
      CHECK(dx(0, 3) == std::numeric_limits<float>::infinity());
      CHECK(dx(n - 1, 2) == static_cast<float>(out));
    }
  }
}

TEST_CASE("blocks of the smallest numbers become the zeros that gguf-py makes of them") {
  Matrix<float> w(1, 32);
  for (Index i = 0; i < 32; ++i) w(0, i) = static_cast<float>(i - 10) * 1e-40F;
  for (const Format format : {Format::Q8_0, Format::Q4_0, Format::Q4_1, Format::Q5_0, Format::Q5_1})
    CHECK(BlockWeight<float>::encoded(format, w).dense().isZero(0));
}
