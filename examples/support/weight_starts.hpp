#pragma once

#include <filesystem>
#include <lora/layers/plain_adapter.hpp>
#include <lora/layers/weight_start.hpp>
#include <lora/peft/adapter_writer.hpp>
#include <span>
#include <string>
#include <vector>

namespace examples {

/// Tells whether --init takes a part of the weights into the adapters: "pissa", "olora".
[[nodiscard]] inline bool starts_from_weights(const std::string& init) {
  return init == "pissa" || init == "olora";
}

/// How a model's adapters began where that changed the model's weights, and how they are saved so
/// that they are of use on the weights as they were. For every other start it saves and loads them
/// as the model does.
class WeightStarts {
 public:
  /// Starts all adapters of `model` by `init`, if that is one of those; before anything trains.
  /// Throws what start_pissa and start_olora throw.
  template <class Model>
  WeightStarts(Model& model, const std::string& init) : init_(init) {
    if (!starts_from_weights(init)) return;
    for (const auto& layer : model.adapted_layers())
      initial_.push_back(init == "pissa" ? lora::start_pissa(layer) : lora::start_olora(layer));
  }

  /// Saves the adapters in `folder`, for the weights as they were: of twice the rank where these
  /// have changed. Those that trained are then beside it, for `load`.
  template <class Model>
  void save(Model& model, const std::filesystem::path& folder) const {
    if (!starts_from_weights(init_)) return model.save_adapter(folder);
    model.save_adapter(beside(folder));
    const auto layers = model.adapted_layers();
    std::vector<lora::PlainAdapter<float>> plain;
    for (std::size_t i = 0; i < layers.size(); ++i) plain.emplace_back(layers[i], initial_[i]);
    const std::vector<lora::AdaptedLayerView<float>> views(plain.begin(), plain.end());
    lora::peft::save_adapter<float>(folder, std::span(views),
                                    {.config = model.peft_config(),
                                     .parameters = model.stored_parameters(),
                                     .modules = model.modules()});
  }

  /// Gives the model the adapters that `save` was given last for this folder.
  template <class Model>
  void load(Model& model, const std::filesystem::path& folder) const {
    model.load_adapter(starts_from_weights(init_) ? beside(folder) : folder);
  }

 private:
  // "adapter-pissa" beside "adapter".
  [[nodiscard]] std::filesystem::path beside(std::filesystem::path folder) const {
    return folder += "-" + init_;
  }

  std::string init_;
  std::vector<lora::StartFactors<float>> initial_;  // by layer
};

}  // namespace examples
