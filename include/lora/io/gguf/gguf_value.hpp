#pragma once

#include <cstdint>
#include <string_view>
#include <variant>
#include <vector>

namespace lora::io {

/// The types of GGUF metadata, by their numbers in files.
enum class GgufValueType : std::uint32_t {
  u8 = 0,
  i8 = 1,
  u16 = 2,
  i16 = 3,
  u32 = 4,
  i32 = 5,
  f32 = 6,
  boolean = 7,
  text = 8,
  array = 9,
  u64 = 10,
  i64 = 11,
  f64 = 12,
};

/// A list of texts or of numbers; texts view the file.
struct GgufList {
  GgufValueType type = GgufValueType::text;
  std::vector<std::string_view> texts = {};
  std::vector<double> numbers = {};  ///< of any numeric type, and 0 or 1 of boolean
};

/// A value of a GGUF's metadata: a whole number (as signed, or unsigned where its type is), another
/// number, a truth, a text that views the file, or a list.
using GgufValue =
    std::variant<std::int64_t, std::uint64_t, double, bool, std::string_view, GgufList>;

}  // namespace lora::io
