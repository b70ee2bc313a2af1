#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lora/core/finite.hpp"
#include "lora/core/printable.hpp"
#include "lora/frozen/int8_weight.hpp"
#include "lora/io/model_reader.hpp"

namespace lora::models {

/// A weight as bitsandbytes stored it in eight bits (LLM.int8): codes in the file, and scales.
struct Int8Tensor {
  Index out_features = 0;
  Index in_features = 0;
  std::span<const std::int8_t> codes;
  std::vector<float> scales;

  /// Returns it as a frozen weight, with these codes.
  template <class T>
  [[nodiscard]] Int8Weight<T> weight() const {
    return {codes, scales, out_features, in_features};
  }
};

/// Tells whether the tensor called `name` is a weight in eight bits.
[[nodiscard]] inline bool is_int8_tensor(io::ModelReader& files, const std::string& name) {
  return name.ends_with(".weight") && files.contains(name) &&
         files.tensor(name).dtype == io::DType::I8;
}

/// Reads the weight called "<module>.weight", for which is_int8_tensor is true, with its scales,
/// "<module>.SCB"; the codes view the files. Throws FileError for codes that are not a matrix, for
/// scales that are missing, of another number, not finite or negative, and for codes that do not
/// lie row by row, as the older GPU kernels took them.
[[nodiscard]] inline Int8Tensor read_int8_tensor(io::ModelReader& files, const std::string& name) {
  const std::string module = name.substr(0, name.size() - std::string_view("weight").size());
  const auto fail = [&](const std::string& part, const std::string& what) {
    throw FileError(message(files.directory().string(), ": tensor ", in_quotes(part), " ", what));
  };
  const io::TensorView& codes = files.tensor(name);
  if (codes.shape.size() != 2)
    fail(name, "is of shape " + io::shape_text(codes.shape) + ", expected two dimensions");
  const std::string order = module + "weight_format";
  if (files.contains(order)) {
    const io::TensorView& view = files.tensor(order);
    if (view.dtype != io::DType::U8 || view.bytes.size() != 1 || view.bytes[0] != std::byte{0})
      fail(order, "is not 0: codes that do not lie row by row are not read");
  }
  const std::string key = module + "SCB";
  if (!files.contains(key))
    fail(name, "is of I8 and has no scales, " + in_quotes(key) + ": it cannot be decoded");
  const io::TensorView& scales = files.tensor(key);
  const auto rows = static_cast<std::size_t>(codes.shape[0]);
  if (scales.dtype != io::DType::F32 || scales.bytes.size() != rows * sizeof(float))
    fail(key, message("is of shape ", io::shape_text(scales.shape), " in ",
                      io::name_of(scales.dtype), ", expected ", rows, " in F32"));
  Int8Tensor tensor{codes.shape[0],
                    codes.shape[1],
                    {reinterpret_cast<const std::int8_t*>(codes.bytes.data()), codes.bytes.size()},
                    std::vector<float>(rows)};
  for (std::size_t i = 0; i < rows; ++i) {
    tensor.scales[i] = kernels::load<float>(scales.bytes.data() + i * sizeof(float));
    if (!is_finite(tensor.scales[i]) || tensor.scales[i] < 0)
      fail(key, message("has ", tensor.scales[i], " at ", i,
                        ", expected finite magnitudes: the weight had a number that was none"));
  }
  return tensor;
}

}  // namespace lora::models
