#pragma once

#include <array>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lora/images/preprocessing.hpp"
#include "lora/models/common/config_fields.hpp"

namespace lora::models {

/// The largest height or width that a file may ask for, in pixels: images are made that large.
inline constexpr Index asked_size_limit = 4096;

namespace detail {

inline std::vector<double> channel_numbers(const ConfigFields& fields, const char* key,
                                           std::vector<double> value) {
  if (!fields.has(key)) return value;
  const io::Json& json = fields[key];
  bool fits = json.is_array() && (json.size() == 1 || json.size() == 3);
  value.clear();
  for (std::size_t i = 0; fits && i < json.size(); ++i) {
    fits = json[i].is_number();
    if (fits) value.push_back(json[i].get<double>());
  }
  if (!fits) fields.unexpected(key, "a list of numbers, one for each channel");
  return value;
}

/// A reader of transformers' preprocessor_config.json.
class PreprocessorReader {
 public:
  explicit PreprocessorReader(const ConfigFields& fields) : fields_(fields) {}

  [[nodiscard]] images::Preprocessing read() {
    read_type();
    bool resize = true, rescale = true, normalise = true, crop = false;
    fields_.read_flag("do_resize", resize);
    fields_.read_flag("do_rescale", rescale);
    fields_.read_flag("do_normalize", normalise);
    fields_.read_flag("do_center_crop", crop);
    if (crop)
      fields_.unexpected("do_center_crop", "false: a crop that crop_pct does not say is not built");
    if (resize)
      read_size();
    else
      how_.fitting = images::Fitting::none;
    const images::Resampling usual =
        convnext_ ? images::Resampling::bicubic : images::Resampling::bilinear;
    auto resample = static_cast<Index>(usual);
    fields_.read_size("resample", resample, 0, 5);
    how_.resample = static_cast<images::Resampling>(resample);
    if (rescale)
      fields_.read_number(
          "rescale_factor", how_.rescale_factor, [](double) { return true; }, "");
    else
      how_.rescale_factor = 1;
    // What both processors take where the file does not say.
    const std::vector<double> half{0.5, 0.5, 0.5};
    how_.mean = channel_numbers(fields_, "image_mean", half);
    how_.std = channel_numbers(fields_, "image_std", half);
    if (!normalise) {
      how_.mean.clear();
      how_.std.clear();
    }
    return how_;
  }

 private:
  // image_processor_type says more than the older key where both are there.
  void read_type() {
    const char* const key =
        fields_.has("image_processor_type") ? "image_processor_type" : "feature_extractor_type";
    if (!fields_.has(key)) fields_.fail("says no image_processor_type");
    constexpr std::array<std::pair<const char*, bool>, 7> types{
        {{"ConvNextImageProcessor", true},
         {"ConvNextImageProcessorFast", true},
         {"ConvNextImageProcessorPil", true},
         {"ConvNextFeatureExtractor", true},
         {"ViTImageProcessor", false},
         {"ViTImageProcessorFast", false},
         {"ViTFeatureExtractor", false}}};
    for (const auto& [name, convnext] : types)
      if (io::is_text(fields_[key], name)) {
        convnext_ = convnext;
        return;
      }
    fields_.unexpected(key, "ConvNextImageProcessor or ViTImageProcessor: others are not built");
  }

  void read_size() {
    Index edge = convnext_ ? 384 : 224;
    how_.fitting = images::Fitting::warp;
    if (fields_.has("size") && fields_["size"].is_object()) {
      const ConfigFields size = fields_.object("size");
      if (!convnext_ && size.has("height") && size.has("width")) {
        size.read_size("height", how_.height, 1, asked_size_limit);
        size.read_size("width", how_.width, 1, asked_size_limit);
        return;
      }
      if (!convnext_ || !size.has("shortest_edge"))
        fields_.unexpected("size", convnext_ ? "shortest_edge" : "height and width");
      size.read_size("shortest_edge", edge, 1, asked_size_limit);
    } else {
      fields_.read_size("size", edge, 1, asked_size_limit);
    }
    how_.height = how_.width = edge;
    // Larger images are not cropped.
    if (convnext_ && edge < 384) how_.fitting = images::Fitting::crop;
    fields_.read_number(
        "crop_pct", how_.crop_fraction, [](double p) { return p > 0 && p <= 1; }, "in (0, 1]");
  }

  const ConfigFields& fields_;
  images::Preprocessing how_;
  bool convnext_ = true;
};

// timm: {"input_size": [3, 224, 224], "interpolation": "bicubic", "crop_pct": 0.95, "mean": ...}.
inline images::Preprocessing timm_preprocessing(const ConfigFields& fields) {
  images::Preprocessing how;
  how.crop_rounding = images::CropRounding::nearest;
  const ConfigFields cfg = fields.object("pretrained_cfg");
  if (cfg.has("input_size")) {
    const io::Json& size = cfg["input_size"];
    if (!size.is_array() || size.size() != 3 || !size[1].is_number_integer() ||
        size[1] != size[2] || size[1].get<double>() < 1 ||
        size[1].get<double>() > static_cast<double>(asked_size_limit))
      cfg.unexpected("input_size", "[channels, size, size]");
    how.height = how.width = size[1].get<Index>();
  }
  cfg.read_number(
      "crop_pct", how.crop_fraction, [](double p) { return p > 0 && p <= 1; }, "in (0, 1]");
  if (cfg.has("crop_mode") && !io::is_text(cfg["crop_mode"], "center"))
    cfg.unexpected("crop_mode", "center");
  how.resample = images::Resampling::bicubic;
  if (cfg.has("interpolation")) {
    if (io::is_text(cfg["interpolation"], "bilinear"))
      how.resample = images::Resampling::bilinear;
    else if (!io::is_text(cfg["interpolation"], "bicubic"))
      cfg.unexpected("interpolation", "bicubic or bilinear");
  }
  how.mean = channel_numbers(cfg, "mean", how.mean);
  how.std = channel_numbers(cfg, "std", how.std);
  return how;
}

inline images::Preprocessing checked(const ConfigFields& fields, images::Preprocessing how) {
  try {
    validate(how, "preprocessing");
  } catch (const ConfigError& error) {
    fields.fail(error.what());
  }
  return how;
}

inline images::Preprocessing image_settings_of(const ConfigFields& fields) {
  return checked(fields, PreprocessorReader(fields).read());
}

inline images::Preprocessing timm_settings_of(const ConfigFields& fields) {
  if (!fields.has("pretrained_cfg"))
    fields.fail("there is no preprocessor_config.json beside it, and it has no \"pretrained_cfg\"");
  return checked(fields, timm_preprocessing(fields));
}

}  // namespace detail

/// Reads the JSON text of transformers' preprocessor_config.json (ConvNextImageProcessor and
/// ViTImageProcessor, and the names of their older versions). Throws FileError, beginning with
/// `where`, for a value out of range and for what is not built here, which it names.
[[nodiscard]] inline images::Preprocessing parse_image_settings(std::string_view text,
                                                                const std::string& where) {
  return detail::image_settings_of(ConfigFields(text, where));
}

/// Reads the pretrained_cfg in the JSON text of timm's config.json. Throws FileError; see
/// parse_image_settings.
[[nodiscard]] inline images::Preprocessing parse_timm_image_settings(std::string_view text,
                                                                     const std::string& where) {
  return detail::timm_settings_of(ConfigFields(text, where));
}

/// Reads what an image model wants done to its images: directory/preprocessor_config.json, or else
/// timm's config.json. Throws FileError; see parse_image_settings.
[[nodiscard]] inline images::Preprocessing read_image_settings(
    const std::filesystem::path& directory) {
  if (std::filesystem::exists(directory / "preprocessor_config.json"))
    return detail::image_settings_of(read_config_fields(directory, "preprocessor_config.json"));
  return detail::timm_settings_of(read_config_fields(directory));
}

}  // namespace lora::models
