#pragma once

#include <cstdint>

namespace lora::io {

/// The largest header of a safetensors file, in bytes, that is read or written; the format's
/// reference implementation sets it.
inline constexpr std::uint64_t safetensors_header_limit = 100'000'000;

}  // namespace lora::io
