#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "lora/core/error.hpp"
#include "lora/core/finite.hpp"
#include "lora/core/matrix.hpp"
#include "lora/kernels/block_format.hpp"
#include "lora/kernels/quantised_blocks.hpp"
#include "lora/kernels/quantised_super_blocks.hpp"
#include "lora/kernels/visit_format.hpp"

namespace lora::io {

/// The element types of GGUF tensors that are read, by ggml's numbers.
using GgufType = kernels::BlockFormat;

/// What is known of a type: numbers lie in blocks of `weights` in `bytes` bytes.
struct GgufTypeInfo {
  GgufType type;
  const char* name;
  Index weights;
  Index bytes;
};

namespace detail {

template <class Block>
constexpr GgufTypeInfo gguf_blocks(GgufType type, const char* name) {
  return {type, name, Block::weights, Block::bytes};
}

// ggml's types that are not read: a message names them.
struct UnreadGgufType {
  std::uint32_t number;
  const char* name;
};

inline constexpr std::array<UnreadGgufType, 22> unread_gguf_types{
    {{9, "Q8_1"},     {10, "Q2_K"},  {11, "Q3_K"},   {15, "Q8_K"},  {16, "IQ2_XXS"}, {17, "IQ2_XS"},
     {18, "IQ3_XXS"}, {19, "IQ1_S"}, {20, "IQ4_NL"}, {21, "IQ3_S"}, {22, "IQ2_S"},   {23, "IQ4_XS"},
     {24, "I8"},      {25, "I16"},   {26, "I32"},    {27, "I64"},   {28, "F64"},     {29, "IQ1_M"},
     {34, "TQ1_0"},   {35, "TQ2_0"}, {39, "MXFP4"},  {40, "NVFP4"}}};

}  // namespace detail

/// The types that are read.
inline constexpr std::array<GgufTypeInfo, 11> gguf_types{
    {{GgufType::F32, "F32", 1, 4},
     {GgufType::F16, "F16", 1, 2},
     {GgufType::BF16, "BF16", 1, 2},
     detail::gguf_blocks<kernels::BlockQ4_0>(GgufType::Q4_0, "Q4_0"),
     detail::gguf_blocks<kernels::BlockQ4_1>(GgufType::Q4_1, "Q4_1"),
     detail::gguf_blocks<kernels::BlockQ5_0>(GgufType::Q5_0, "Q5_0"),
     detail::gguf_blocks<kernels::BlockQ5_1>(GgufType::Q5_1, "Q5_1"),
     detail::gguf_blocks<kernels::BlockQ8_0>(GgufType::Q8_0, "Q8_0"),
     detail::gguf_blocks<kernels::BlockQ4_K>(GgufType::Q4_K, "Q4_K"),
     detail::gguf_blocks<kernels::BlockQ5_K>(GgufType::Q5_K, "Q5_K"),
     detail::gguf_blocks<kernels::BlockQ6_K>(GgufType::Q6_K, "Q6_K")}};

/// Returns what is known of ggml's type of that number. Throws FileError, naming `where`, for one
/// that is not read.
[[nodiscard]] inline const GgufTypeInfo& gguf_type(std::uint32_t number, const std::string& where) {
  for (const GgufTypeInfo& info : gguf_types)
    if (static_cast<std::uint32_t>(info.type) == number) return info;
  for (const auto& unread : detail::unread_gguf_types)
    if (unread.number == number)
      throw FileError(message(where, ": is of type ", unread.name, ", which is not read"));
  throw FileError(message(where, ": is of type ", number, ", which ggml does not have"));
}

[[nodiscard]] inline const GgufTypeInfo& gguf_type(GgufType type) {
  return gguf_type(static_cast<std::uint32_t>(type), "gguf_type");
}

/// Decodes `count` numbers, whole blocks of them, to floats: bit for bit what llama.cpp computes.
inline void decode_gguf(GgufType type, const std::byte* bytes, Index count, float* out) {
  const auto* in = reinterpret_cast<const std::uint8_t*>(bytes);
  kernels::visit_format(type, [&]<class Block>(Block) {
    constexpr Index size = kernels::block_weights<Block>;
    for (Index i = 0; i < count; i += size, in += Block::bytes) Block::decode(in, out + i);
  });
}

/// Encodes `count` numbers, whole blocks of them, as gguf-py 0.19 does. Throws FileError, naming
/// `where`, for the types of 256 weights, which only llama.cpp writes; for a finite number that is
/// beyond the type's largest; and for NaN and infinity in a type of blocks, whose other numbers
/// they would spoil.
inline void encode_gguf(GgufType type, const float* in, Index count, std::byte* bytes,
                        const std::string& where) {
  auto* out = reinterpret_cast<std::uint8_t*>(bytes);
  kernels::visit_format(type, [&]<class Block>(Block) {
    const char* const name = gguf_type(type).name;
    if constexpr (requires { Block::encode(in, out); }) {
      constexpr Index size = kernels::block_weights<Block>;
      float back[static_cast<std::size_t>(size)];
      const auto refuse = [&](Index i, const char* why) {
        throw FileError(message(where, ": element ", i, " is ", in[i], why, name));
      };
      for (Index i = 0; i < count; i += size, out += Block::bytes) {
        for (Index k = i; size > 1 && k < i + size; ++k)
          if (!is_finite(in[k])) refuse(k, ", not for ");
        Block::encode(in + i, out);
        Block::decode(out, back);
        for (Index k = 0; k < size; ++k)
          if (is_finite(in[i + k]) && !is_finite(back[k])) refuse(i + k, ", which does not fit ");
      }
    } else {
      throw FileError(message(where, ": ", name,
                              " is read, but not written: expected F32, F16, BF16, Q8_0 or a Q of "
                              "4 or 5 bits in blocks of 32"));
    }
  });
}

}  // namespace lora::io
