#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

#include "lora/core/finite.hpp"
#include "lora/core/matrix.hpp"
#include "lora/io/json.hpp"
#include "lora/kernels/four_bit_codes.hpp"

namespace lora::models {

/// How bitsandbytes stored a weight in four bits: the JSON of its quant_state.
struct FourBitState {
  bool normal = true;  ///< nf4, else fp4
  Index out_features = 0;
  Index in_features = 0;
  Index block_size = 0;  ///< weights that share a scale: a power of two from 32 to 4096
  bool nested = false;   ///< whether scales are codes of eight bits
  float offset = 0;      ///< which is added to those

  /// Returns the number of weights.
  [[nodiscard]] Index size() const { return out_features * in_features; }

  /// Returns the number of blocks, the last of which may be short.
  [[nodiscard]] Index blocks() const { return size() / block_size + (size() % block_size != 0); }
};

namespace detail {

/// A reader of a quant_state, which refuses what bitsandbytes does not write.
class FourBitStateReader {
 public:
  FourBitStateReader(std::string_view text, std::string where)
      : where_(std::move(where)), json_(io::parse_json(text, where_, io::python_json)) {}

  [[nodiscard]] FourBitState read(std::string_view type) const {
    if (!json_.is_object()) fail("is " + io::excerpt(json_) + ", expected an object");
    FourBitState state;
    state.normal = type == "nf4";
    if (!json_.contains("quant_type") || !io::is_text(json_["quant_type"], type))
      fail(message("quant_type is ", shown("quant_type"), ", expected \"", type, "\""));
    state.block_size = size("blocksize", json_.value("blocksize", io::Json()), 4096);
    if (!kernels::is_four_bit_block(state.block_size))
      fail(message("blocksize is ", state.block_size, ", expected a power of two from 32 to 4096"));
    const io::Json shape = json_.value("shape", io::Json());
    if (!shape.is_array() || shape.size() != 2)
      fail(message("shape is ", shown("shape"), ", expected two sizes"));
    state.out_features = size("shape", shape[0], largest_side);
    state.in_features = size("shape", shape[1], largest_side);
    state.nested = json_.contains("nested_offset");
    if (state.nested) read_nested(state);
    return state;
  }

 private:
  static constexpr Index largest_side = 2'000'000'000;  // so that no product wraps around

  [[noreturn]] void fail(const std::string& what) const { throw FileError(where_ + ": " + what); }

  [[nodiscard]] std::string shown(const char* key) const {
    return json_.contains(key) ? io::excerpt(json_[key]) : "missing";
  }

  [[nodiscard]] Index size(const char* key, const io::Json& json, Index most) const {
    if (!json.is_number_unsigned() || json.get<std::uint64_t>() > static_cast<std::uint64_t>(most))
      fail(message(key, " is ", shown(key), ", expected integers up to ", most));
    return json.get<Index>();
  }

  void read_nested(FourBitState& state) const {
    if (json_.value("nested_blocksize", io::Json()) != io::Json(256))
      fail(message("nested_blocksize is ", shown("nested_blocksize"), ", expected 256"));
    const io::Json& offset = json_["nested_offset"];
    const double number = offset.is_number() ? offset.get<double>() : 0;
    const bool fits = is_finite(number) && std::abs(number) <= std::numeric_limits<float>::max();
    if (!offset.is_number() || !fits)
      fail(message("nested_offset is ", shown("nested_offset"),
                   ", expected a finite number: the weight had one that was not"));
    state.offset = static_cast<float>(number);
  }

  std::string where_;
  io::Json json_;
};

}  // namespace detail

/// Parses the quant_state of a weight of `type`, "nf4" or "fp4". Its dtype, that of the numbers
/// which were rounded, is not used. Throws FileError, beginning with `where`, for what bitsandbytes
/// does not write.
[[nodiscard]] inline FourBitState parse_four_bit_state(std::string_view text, std::string_view type,
                                                       const std::string& where) {
  return detail::FourBitStateReader(text, where).read(type);
}

}  // namespace lora::models
