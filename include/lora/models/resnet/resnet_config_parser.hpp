#pragma once

#include <charconv>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "lora/io/python_json_text.hpp"
#include "lora/models/common/config_fields.hpp"
#include "lora/models/common/quantisation_config.hpp"
#include "lora/models/resnet/resnet_config.hpp"

namespace lora::models {

namespace detail {

inline constexpr Index most_channels = 1'000'000;

// So that transformers refuses the file, where it would build another network.
inline constexpr const char* own_resnet_type = "lora-resnet";

inline std::vector<Index> resnet_sizes(const ConfigFields& fields, const char* key,
                                       std::vector<Index> value, Index most) {
  if (!fields.has(key)) return value;
  const io::Json& json = fields[key];
  constexpr std::size_t most_stages = 16;
  bool fits = json.is_array() && !json.empty() && json.size() <= most_stages;
  value.clear();
  for (std::size_t i = 0; fits && i < json.size(); ++i) {
    fits = json[i].is_number_integer() && json[i].get<double>() >= 1 &&
           json[i].get<double>() <= static_cast<double>(most);
    if (fits) value.push_back(json[i].get<Index>());
  }
  if (!fits) fields.unexpected(key, message("a list of integers in [1, ", most, "]"));
  return value;
}

// timm: {"architecture": "resnet50", "num_classes": 1000, "pretrained_cfg": {...}}.
inline ResNetConfig timm_resnet_config(const ConfigFields& fields) {
  const io::Json& json = fields["architecture"];
  const std::string name = json.is_string() ? json.get<std::string>() : "";
  constexpr const char* known =
      "resnet18, resnet34, resnet50, resnet101, resnet152, or a ResNeXt such as resnext50_32x4d";
  const char *at = name.data(), *const end = at + name.size();
  const auto skip = [&](std::string_view text) {
    if (!std::string_view(at, static_cast<std::size_t>(end - at)).starts_with(text))
      fields.unexpected("architecture", known);
    at += text.size();
  };
  const auto number = [&] {
    Index value = 0;
    const auto [next, error] = std::from_chars(at, end, value);
    if (error != std::errc() || value < 1 || value > most_channels)
      fields.unexpected("architecture", known);
    at = next;
    return value;
  };
  Index labels = 1000;
  fields.read_size("num_classes", labels, 1, label_limit);
  const bool grouped = name.starts_with("resnext");
  skip(grouped ? "resnext" : "resnet");
  const Index depth = number();
  Index groups = 1, width = 64;
  if (grouped) {
    skip("_");
    groups = number();
    skip("x");
    width = number();
    skip("d");
  }
  if (at != end) fields.unexpected("architecture", known);
  try {
    return grouped ? resnext_config(depth, groups, width, labels)
                   : resnet_config(depth, labels, ResNetNaming::torchvision);
  } catch (const ConfigError&) {
    fields.unexpected("architecture", known);
  }
}

inline ResNetConfig resnet_config_of(const ConfigFields& fields) {
  if (!fields.has("model_type") && fields.has("architecture")) return timm_resnet_config(fields);
  if (!fields.has("model_type")) fields.fail("has no \"model_type\", expected resnet");
  const bool ours = io::is_text(fields["model_type"], own_resnet_type);
  if (!ours && !io::is_text(fields["model_type"], "resnet"))
    fields.unexpected("model_type", "resnet");
  if (fields.has("hidden_act") && !io::is_text(fields["hidden_act"], "relu"))
    fields.unexpected("hidden_act", "relu: other activations are not built");
  refuse_other_quantisations(fields);
  ResNetConfig c;
  fields.read_size("num_channels", c.num_channels, 1, most_channels);
  fields.read_size("embedding_size", c.embedding_size, 1, most_channels);
  c.hidden_sizes = resnet_sizes(fields, "hidden_sizes", c.hidden_sizes, most_channels);
  c.depths = resnet_sizes(fields, "depths", c.depths, 10'000);
  if (fields.has("layer_type")) {
    if (io::is_text(fields["layer_type"], "basic"))
      c.layer_type = ResNetBlockType::basic;
    else if (!io::is_text(fields["layer_type"], "bottleneck"))
      fields.unexpected("layer_type", "basic or bottleneck");
  }
  fields.read_flag("downsample_in_first_stage", c.downsample_in_first_stage);
  fields.read_flag("downsample_in_bottleneck", c.downsample_in_bottleneck);
  fields.read_labels(c.num_labels);
  if (ours) {
    fields.read_size("groups", c.groups, 1, most_channels);
    fields.read_size("width_per_group", c.width_per_group, 1, most_channels);
    if (fields.has("stem") && io::is_text(fields["stem"], "cifar"))
      c.stem = ResNetStem::cifar;
    else if (fields.has("stem") && !io::is_text(fields["stem"], "imagenet"))
      fields.unexpected("stem", "imagenet or cifar");
    if (fields.has("naming") && io::is_text(fields["naming"], "torchvision"))
      c.naming = ResNetNaming::torchvision;
    else if (fields.has("naming") && !io::is_text(fields["naming"], "hugging_face"))
      fields.unexpected("naming", "hugging_face or torchvision");
  }
  try {
    validate(c, "config");
  } catch (const ConfigError& error) {
    fields.fail(error.what());
  }
  return c;
}

}  // namespace detail

inline ResNetConfig parse_resnet_config(std::string_view text, const std::string& where) {
  return detail::resnet_config_of(ConfigFields(text, where));
}

inline std::string resnet_config_text(const ResNetConfig& config) {
  const bool cifar = config.stem == ResNetStem::cifar;
  const bool hugging_face = config.naming == ResNetNaming::hugging_face;
  const bool plain = config.groups == 1 && config.width_per_group == 64;
  const bool ours = cifar || !hugging_face || !plain;
  io::Json json{
      {"model_type", ours ? detail::own_resnet_type : "resnet"},
      {"architectures", {"ResNetForImageClassification"}},
      {"num_channels", config.num_channels},
      {"embedding_size", config.embedding_size},
      {"hidden_sizes", config.hidden_sizes},
      {"depths", config.depths},
      {"layer_type", config.layer_type == ResNetBlockType::basic ? "basic" : "bottleneck"},
      {"hidden_act", "relu"},
      {"downsample_in_first_stage", config.downsample_in_first_stage},
      {"downsample_in_bottleneck", config.downsample_in_bottleneck},
      {"num_labels", config.num_labels}};
  if (!plain) {
    json["groups"] = config.groups;
    json["width_per_group"] = config.width_per_group;
  }
  if (ours) {
    json["stem"] = cifar ? "cifar" : "imagenet";
    json["naming"] = hugging_face ? "hugging_face" : "torchvision";
  }
  return json.dump(2) + "\n";
}

inline std::string with_labels(std::string_view text, Index labels, const std::string& where) {
  io::Json json = io::parse_json(text, where, io::python_json);
  for (const char* key : {"id2label", "label2id", "label_names", "label_descriptions"})
    json.erase(key);
  json[json.contains("model_type") ? "num_labels" : "num_classes"] = labels;
  return io::python_json_text(json, where) + "\n";
}

inline ResNetConfig read_resnet_config(const std::filesystem::path& directory) {
  return detail::resnet_config_of(read_config_fields(directory));
}

}  // namespace lora::models
