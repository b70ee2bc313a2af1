#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "lora/core/error.hpp"
#include "lora/core/place.hpp"
#include "lora/optim/adalora.hpp"
#include "lora/peft/adapter_values.hpp"

namespace lora::peft {

/// What an AdaLoRA is made of that goes on from files.
template <class T>
struct AdaLoRAStart {
  AdaLoRAConfig config;                    ///< the file's; total_step and the like may be changed
  std::vector<AdaLoRAFactors<T>> factors;  ///< one for each layer, of rank init_r
};

/// Reads what PEFT or save_adalora wrote of `layers` for an optimizer that trains on from there:
///
///     peft::load_adapter(directory, layers, options);  // biases, heads and dropout too
///     auto start = peft::read_adalora<float>(directory, layers, /*seed=*/1);
///     AdaLoRA<float> optimizer(AdamW<float>({.learning_rate = 1e-3}), layers, start.config,
///                              std::move(start.factors));
///
/// Steps count from the first, and averages of importance begin anew, as with PEFT's
/// from_pretrained(is_trainable=True): files have neither (a Trainer's checkpoint has). Triplets
/// that were taken away come back as new ones, with E = 0, behind those that are left, since the
/// budget begins at init_r; PEFT 0.21 counts it from there too, with fewer triplets, and takes too
/// many away. The layers compute what the file says. Throws FileError for whatever read_adapter
/// refuses, and for files of another method; ConfigError for settings that cannot train; ShapeError
/// for a layer of another size, naming it.
template <class T>
[[nodiscard]] AdaLoRAStart<T> read_adalora(const std::filesystem::path& directory,
                                           const std::vector<AdaptedLayerRef<T>>& layers,
                                           std::uint64_t seed) {
  detail::OpenAdapter files = detail::open_adapter(directory);
  if (!files.config.adalora)
    throw FileError(message(files.weights.path().string(),
                            ": adapter_config.json is of a plain adapter, expected AdaLoRA's"));
  AdaLoRAStart<T> start{*files.config.adalora, {}};
  validate(start.config, files.weights.path().string());
  const Index rank = start.config.init_r;
  for (const AdaptedLayerRef<T>& layer : layers) {
    const Place where{"read_adalora", layer.name()};
    const std::array<Matrix<T>, 3> stored =
        files.weights.template read_triplets<T>(layer.name(), false);
    const auto& [a, e, b] = stored;
    if (a.rows() > rank)
      throw FileError(message(files.weights.path().string(), ": ", in_quotes(layer.name()), " has ",
                              a.rows(), " triplets, expected no more than init_r = ", rank));
    Index out = 0, in = 0;
    for (const AdapterTensor<T>& tensor : layer.tensors(layer.config())) {
      if (tensor.suffix == ".lora_A.weight") in = tensor.parameter->value.cols();
      if (tensor.suffix == ".lora_B.weight") out = tensor.parameter->value.rows();
    }
    require_shape(a, a.rows(), in, where, "lora_A", "triplets", "in_features");
    require_shape(b, out, a.rows(), where, "lora_B", "out_features", "triplets");
    AdaLoRAFactors<T> all = AdaLoRAFactors<T>::draw(
        out, rank, in, Random(seed, RandomStream::initialisation, substream_of(layer.name())));
    all.a.topRows(a.rows()) = a;
    all.e.topRows(a.rows()) = e;
    all.b.leftCols(a.rows()) = b;
    start.factors.push_back(std::move(all));
  }
  return start;
}

}  // namespace lora::peft
