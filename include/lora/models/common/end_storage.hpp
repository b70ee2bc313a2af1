#pragma once

#include "lora/frozen/block_weight.hpp"
#include "lora/frozen/four_bit_weight.hpp"
#include "lora/frozen/int8_weight.hpp"

namespace lora::models {

namespace detail {

template <class Frozen>
struct EndStorageOf {
  using Type = Frozen;
};
template <class T, class Format>
struct EndStorageOf<FourBitWeight<T, Format>> {
  using Type = BlockWeight<T>;
};
template <class T>
struct EndStorageOf<Int8Weight<T>> {
  using Type = BlockWeight<T>;
};

}  // namespace detail

/// The storage of the embeddings and head of a language model whose other weights are `Frozen`:
/// `Frozen` itself, unless it rounds to bitsandbytes' four or eight bits. transformers does not
/// quantise embeddings and head, so they then stay as the files have them.
template <class Frozen>
using EndStorage = typename detail::EndStorageOf<Frozen>::Type;

/// Whether a storage looks at the files' rows, so that embeddings need no copy of their own.
template <class Frozen>
inline constexpr bool looks_at_rows = false;
template <class T>
inline constexpr bool looks_at_rows<BlockWeight<T>> = true;

}  // namespace lora::models
