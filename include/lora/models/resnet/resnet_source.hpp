#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <variant>

#include "lora/io/mapped_file.hpp"
#include "lora/models/common/model_source.hpp"
#include "lora/models/resnet/resnet_config.hpp"
#include "lora/models/resnet/resnet_options.hpp"
#include "lora/models/resnet/resnet_outline.hpp"

namespace lora::models {

namespace detail {

/// A ResNet's settings, and the config.json that says them.
struct ResNetSettings {
  /// Takes options.config, or reads directory/config.json; with options.labels. Throws FileError
  /// and ConfigError.
  ResNetSettings(const std::filesystem::path& directory, const ResNetOptions& options) {
    std::string where;
    if (options.config) {
      config = *options.config;
    } else {
      const io::MappedFile file(directory / "config.json");
      where = file.path().string();
      text.assign(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
      config = parse_resnet_config(text, where);
    }
    const bool others = options.labels && *options.labels != config.num_labels;
    if (others) config.num_labels = *options.labels;
    validate(config, "ResNetOptions");
    if (options.config)
      text = resnet_config_text(config);
    else if (others)
      text = with_labels(text, config.num_labels, where);
  }

  ResNetConfig config;
  std::string text;
};

}  // namespace detail

/// What a ResNet is built from; see ModelSource.
template <class T>
struct ResNetSource : ModelSource<T, ResNetConfig> {
  /// Opens a directory of safetensors. Throws FileError and ConfigError.
  ResNetSource(const std::filesystem::path& directory, const ResNetOptions& options)
      : ResNetSource(directory, options, detail::ResNetSettings(directory, options)) {}

  std::string config_text;  ///< the config.json of this model

 private:
  ResNetSource(const std::filesystem::path& directory, const ResNetOptions& options,
               detail::ResNetSettings settings)
      : ModelSource<T, ResNetConfig>(directory, settings.config, resnet_outline(settings.config),
                                     checked(options.tuning)),
        config_text(std::move(settings.text)) {}

  static const Tuning& checked(const Tuning& tuning) {
    if (std::holds_alternative<BottleneckAdapters>(tuning))
      throw ConfigError("ResNetOptions: BottleneckAdapters are not built here");
    return tuning;
  }
};

}  // namespace lora::models
