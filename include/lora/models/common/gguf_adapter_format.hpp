#pragma once

#include <map>
#include <string>
#include <utility>

#include "lora/models/common/gguf_weights.hpp"
#include "lora/models/common/model_outline.hpp"

namespace lora::models {

/// How llama.cpp's adapters name what they adapt of a model.
struct GgufAdapterFormat {
  std::string architecture;                 ///< as in the model's own file: "llama"
  std::map<std::string, GgufPlace> places;  ///< of the weights of linear modules, by module
};

/// Returns the format for a model of this outline, whose weights lie at `weights` in its file. A
/// head without a weight of its own, tied to the embeddings, has no place.
[[nodiscard]] inline GgufAdapterFormat adapter_format_of(
    std::string architecture, const ModelOutline& outline,
    const std::map<std::string, GgufPlace>& weights) {
  GgufAdapterFormat format{std::move(architecture), {}};
  for (const auto& module : outline.modules)
    if (peft::is_linear(module.kind))
      if (const auto found = weights.find(module.name + ".weight"); found != weights.end())
        format.places[module.name] = found->second;
  return format;
}

/// Copies a matrix with the rows of each head in llama.cpp's order, or back; see interleaved_row.
[[nodiscard]] inline Matrix<float> interleaved(const Matrix<float>& b, Index head_rows, bool back) {
  Matrix<float> out(b.rows(), b.cols());
  for (Index i = 0; i < b.rows(); ++i) {
    const Index other = interleaved_row(i, head_rows);
    back ? out.row(i) = b.row(other) : out.row(other) = b.row(i);
  }
  return out;
}

}  // namespace lora::models
