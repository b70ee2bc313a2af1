#include <lora/models/common/image_settings.hpp>

#include <string>

#include "support/catch.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"
#include "support/whole_file.hpp"

using namespace lora;
using namespace lora::models;
using namespace lora::test;

namespace {

images::Preprocessing settings_of(const std::string& json,
                                  const char* name = "preprocessor_config.json") {
  const TemporaryDirectory folder;
  write_whole(folder / name, json);
  return read_image_settings(folder.path());
}

}  // namespace

TEST_CASE("what an image model wants done is read from its files, old and new") {
  const auto old = settings_of(
      R"({"crop_pct": 0.875, "do_normalize": true, "do_resize": true,
          "feature_extractor_type": "ConvNextFeatureExtractor",
          "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225],
          "resample": 3, "size": 224})");
  CHECK(old.fitting == images::Fitting::crop);
  CHECK(old.height == 224);
  CHECK(old.resample == images::Resampling::bicubic);
  CHECK(old.mean[1] == 0.456);
  const auto large = settings_of(
      R"({"image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 384},
          "feature_extractor_type": "ViTFeatureExtractor", "do_normalize": false})");
  CHECK(large.fitting == images::Fitting::warp);
  CHECK(large.mean.empty());
  CHECK(settings_of(R"({"image_processor_type": "ConvNextImageProcessor"})").std ==
        std::vector<double>{0.5, 0.5, 0.5});
  const auto vit = settings_of(
      R"({"image_processor_type": "ViTImageProcessor", "size": {"height": 30, "width": 40},
          "do_rescale": false})");
  CHECK(vit.fitting == images::Fitting::warp);
  CHECK(vit.width == 40);
  CHECK(vit.resample == images::Resampling::bilinear);
  CHECK(vit.rescale_factor == 1);
  CHECK(vit.std == std::vector<double>{0.5, 0.5, 0.5});
  const auto timm = settings_of(
      R"({"architecture": "resnet50", "pretrained_cfg": {"input_size": [3, 288, 288],
          "interpolation": "bilinear", "crop_pct": 0.95, "mean": [0.1, 0.2, 0.3]}})",
      "config.json");
  CHECK(timm.height == 288);
  CHECK(timm.crop_fraction == 0.95);
  CHECK(timm.crop_rounding == images::CropRounding::nearest);
  CHECK(timm.mean[2] == 0.3);
}

TEST_CASE("settings of images that are not built or out of range are refused by name") {
  const auto refused = [](const std::string& json, const char* why,
                          const char* name = "preprocessor_config.json") {
    check_throws<FileError>([&] { settings_of(json, name); }, why);
  };
  const std::string type = R"({"image_processor_type": "ConvNextImageProcessor", )";
  refused("{}", "says no image_processor_type");
  refused(R"({"image_processor_type": "CLIPImageProcessor"})", "expected ConvNextImageProcessor");
  refused(type + R"("size": {"height": 3, "width": 3}})", "size is {");
  refused(type + R"("crop_pct": 0})", "crop_pct is 0");
  refused(type + R"("size": 4097})", "size is 4097, expected an integer in [1, 4096]");
  refused(type + R"("resample": 9})", "resample is 9");
  refused(type + R"("do_center_crop": true})", "do_center_crop is true");
  refused(type + R"("image_mean": [1, "a", 3]})", "image_mean is");
  refused(type + R"("image_std": [1, 0, 1]})", "image_std is 0");
  refused(R"({"model_type": "resnet"})", "has no \"pretrained_cfg\"", "config.json");
  refused(R"({"pretrained_cfg": {"interpolation": "area"}})", "expected bicubic or bilinear",
          "config.json");
  refused(R"({"pretrained_cfg": {"input_size": [3, 224, 200]}})", "expected [channels, size, size]",
          "config.json");
  refused(R"({"pretrained_cfg": {"input_size": [3, 5000, 5000]}})", "input_size is [3,5000,5000]",
          "config.json");
}
