#pragma once

#include <filesystem>
#include <string>

#include "lora/models/common/model_source.hpp"
#include "lora/models/resnet/resnet_config.hpp"
#include "lora/models/resnet/resnet_options.hpp"
#include "lora/models/resnet/resnet_outline.hpp"

namespace lora::models {

/// What a ResNet is built from; see ModelSource.
template <class T>
struct ResNetSource : ModelSource<T, ResNetConfig> {
  /// Opens a directory of safetensors. Throws FileError and ConfigError.
  ResNetSource(const std::filesystem::path& directory, const ResNetOptions& options)
      : ResNetSource(directory, options, with_options(directory, options)) {}

  std::string config_text;  ///< the config.json of this model

 private:
  ResNetSource(const std::filesystem::path& directory, const ResNetOptions& options,
               const ResNetConfig& with)
      : ModelSource<T, ResNetConfig>(directory, with, resnet_outline(with), options.tuning),
        config_text(options.config ? resnet_config_text(with)
                                   : resnet_config_text(directory, with.num_labels)) {}

  static ResNetConfig with_options(const std::filesystem::path& directory,
                                   const ResNetOptions& options) {
    ResNetConfig config = options.config ? *options.config : read_resnet_config(directory);
    if (options.labels) config.num_labels = *options.labels;
    validate(config, "ResNetOptions");
    if (std::holds_alternative<BottleneckAdapters>(options.tuning))
      throw ConfigError("ResNetOptions: BottleneckAdapters are not built here");
    return config;
  }
};

}  // namespace lora::models
