#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lora/core/finite.hpp"
#include "lora/core/printable.hpp"
#include "lora/frozen/four_bit_weight.hpp"
#include "lora/io/model_reader.hpp"
#include "lora/models/common/four_bit_state.hpp"

namespace lora::models {

/// The largest quant_state that is read, in bytes; bitsandbytes' has some 200.
inline constexpr std::size_t four_bit_state_limit = 65'536;

/// Reads how bitsandbytes stored the weight called `name` in four bits, or nothing where it did
/// not. Throws FileError for a state that it does not write, and for two of them.
[[nodiscard]] inline std::optional<FourBitState> find_four_bit_state(io::ModelReader& files,
                                                                     const std::string& name) {
  const std::string begin = name + ".quant_state.bitsandbytes__";
  if (files.contains(begin + "nf4") && files.contains(begin + "fp4"))
    throw FileError(message(files.directory().string(), ": ", in_quotes(name),
                            " has a quant_state of nf4 and one of fp4, expected one of them"));
  for (const char* type : {"nf4", "fp4"}) {
    const std::string key = begin + type;
    if (!files.contains(key)) continue;
    const io::TensorView& view = files.tensor(key);
    const std::string where = files.file(key)->path().string() + ": " + in_quotes(key);
    if (view.dtype != io::DType::U8 || view.bytes.size() > four_bit_state_limit)
      throw FileError(message(where, ": has ", view.bytes.size(), " bytes of ",
                              io::name_of(view.dtype), ", expected a text in U8"));
    return parse_four_bit_state(
        {reinterpret_cast<const char*>(view.bytes.data()), view.bytes.size()}, type, where);
  }
  if (files.contains(name + ".absmax"))
    throw FileError(message(files.directory().string(), ": ", in_quotes(name),
                            " has scales (.absmax) and no \".quant_state.bitsandbytes__nf4\" or "
                            "fp4, as bitsandbytes writes them: it cannot be decoded"));
  return std::nullopt;
}

/// A weight as bitsandbytes stored it in four bits: codes in the file, and scales.
struct FourBitTensor {
  FourBitState state;
  std::span<const std::uint8_t> packed;
  FourBitScales scales;

  /// Returns it as a frozen weight of that format, which has to be its own, with these codes.
  template <class T, class Format>
  [[nodiscard]] FourBitWeight<T, Format> weight() && {
    return {packed, std::move(scales), state.block_size, state.out_features, state.in_features};
  }

  /// Returns the numbers that the codes stand for, (out, in).
  template <class T>
  [[nodiscard]] Matrix<T> dense() && {
    return state.normal ? std::move(*this).template weight<T, kernels::NF4>().dense()
                        : std::move(*this).template weight<T, kernels::FP4>().dense();
  }
};

namespace detail {

/// A reader of the tensors that belong to a weight in four bits.
class FourBitTensorReader {
 public:
  FourBitTensorReader(io::ModelReader& files, std::string name, const FourBitState& state)
      : files_(files), name_(std::move(name)), state_(state) {}

  // Nothing is made before the sizes of all parts have been seen to agree.
  [[nodiscard]] FourBitTensor read() const {
    const io::TensorView& codes = files_.tensor(name_);
    const auto bytes = static_cast<std::size_t>(state_.size() / 2 + state_.size() % 2);
    if (codes.bytes.size() != bytes)
      fail("", message("has ", codes.bytes.size(), " bytes of codes, expected ", bytes, " of a W (",
                       state_.out_features, ", ", state_.in_features, ")"));
    check_values();
    return {state_,
            {reinterpret_cast<const std::uint8_t*>(codes.bytes.data()), bytes},
            state_.nested ? nested_scales() : FourBitScales(largest(".absmax", state_.blocks()))};
  }

 private:
  [[noreturn]] void fail(const std::string& part, const std::string& what) const {
    throw FileError(
        message(files_.directory().string(), ": tensor ", in_quotes(name_ + part), " ", what));
  }

  const io::TensorView& part(const std::string& part, io::DType dtype, Index size) const {
    const io::TensorView& view = files_.tensor(name_ + part);
    if (view.dtype != dtype ||
        view.bytes.size() != static_cast<std::size_t>(size) * (io::bits_of(dtype) / 8))
      fail(part, message("is of shape ", io::shape_text(view.shape), " in ",
                         io::name_of(view.dtype), ", expected ", size, " in ", io::name_of(dtype)));
    return view;
  }

  std::vector<float> floats(const std::string& name, Index size) const {
    const io::TensorView& view = part(name, io::DType::F32, size);
    std::vector<float> numbers(static_cast<std::size_t>(size));
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      numbers[i] = kernels::load<float>(view.bytes.data() + i * sizeof(float));
      if (!is_finite(numbers[i]))
        fail(name, message("has ", numbers[i], " at ", i,
                           ", expected finite numbers: the weight had one that was not"));
    }
    return numbers;
  }

  // Largest absolute values, of weights or of scales.
  std::vector<float> largest(const std::string& name, Index size) const {
    std::vector<float> numbers = floats(name, size);
    for (std::size_t i = 0; i < numbers.size(); ++i)
      if (numbers[i] < 0)
        fail(name, message("has ", numbers[i], " at ", i,
                           ", expected a largest absolute value, 0 or more"));
    return numbers;
  }

  FourBitScales nested_scales() const {
    const Index blocks = state_.blocks();
    constexpr auto nested = static_cast<Index>(FourBitScales::nested_block);
    const io::TensorView& codes = part(".absmax", io::DType::U8, blocks);
    std::vector<float> scales = largest(".nested_absmax", (blocks + nested - 1) / nested);
    const std::vector<float> map = floats(".nested_quant_map", 256);
    std::array<float, 256> values{};
    std::copy(map.begin(), map.end(), values.begin());
    const auto* first = reinterpret_cast<const std::uint8_t*>(codes.bytes.data());
    return {{first, first + blocks}, std::move(scales), state_.offset, values};
  }

  // Codes stand for the numbers of their format: other tables are other formats.
  void check_values() const {
    const auto& expected = state_.normal ? kernels::NF4::values : kernels::FP4::values;
    const std::vector<float> values = floats(".quant_map", 16);
    for (std::size_t i = 0; i < values.size(); ++i)
      if (std::abs(values[i] - expected[i]) > 1e-6F)
        fail(".quant_map",
             message("has ", values[i], " at ", i, ", expected ", expected[i],
                     ", what the code stands for in ", state_.normal ? "nf4" : "fp4"));
  }

  io::ModelReader& files_;
  std::string name_;
  FourBitState state_;
};

}  // namespace detail

/// Reads the weight called `name`, which bitsandbytes stored in four bits as `state` says; the
/// codes view the files. Throws FileError for parts that contradict the state, for another table of
/// values than the format's, and for scales that are not finite.
[[nodiscard]] inline FourBitTensor read_four_bit_tensor(io::ModelReader& files,
                                                        const std::string& name,
                                                        const FourBitState& state) {
  return detail::FourBitTensorReader(files, name, state).read();
}

}  // namespace lora::models
