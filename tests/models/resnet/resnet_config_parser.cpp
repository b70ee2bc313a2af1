#include <lora/models/resnet/resnet_config_parser.hpp>

#include <string>

#include "support/catch.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::models;

TEST_CASE("config.json of a ResNet is read, transformers' and timm's") {
  const ResNetConfig c = parse_resnet_config(
      R"({"model_type": "resnet", "embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 2],
          "layer_type": "basic", "downsample_in_first_stage": true,
          "id2label": {"0": "a", "1": "b", "2": "c"}})",
      "here");
  CHECK(c.hidden_sizes == std::vector<Index>{8, 16});
  CHECK(c.layer_type == ResNetBlockType::basic);
  CHECK(c.downsample_in_first_stage);
  CHECK(c.num_labels == 3);
  const ResNetConfig timm = parse_resnet_config(
      R"({"architecture": "resnet34", "num_classes": 10, "pretrained_cfg": {}})", "here");
  CHECK(timm.naming == ResNetNaming::torchvision);
  CHECK(timm.num_labels == 10);
  CHECK(timm.layer_type == ResNetBlockType::basic);
  const ResNetConfig next = parse_resnet_config(R"({"architecture": "resnext101_64x4d"})", "here");
  CHECK(next.depths[2] == 23);
  CHECK(next.groups == 64);
  CHECK(next.width_per_group == 4);
  const ResNetConfig again = parse_resnet_config(resnet_config_text(next), "there");
  CHECK(again.groups == 64);
  CHECK(again.inner_size(256) == next.inner_size(256));
}

TEST_CASE("a config.json with other labels keeps all else, what JSON has no word for too") {
  const std::string text = with_labels(
      R"({"model_type": "resnet", "note": [NaN, -Infinity, {"x": Infinity}], "num_labels": 2,
          "num_labels": 3, "id2label": {"0": "a"}, "name": "é", "rate": 1e-05, "none": {}})",
      7, "here");
  CHECK(text == R"({
  "model_type": "resnet",
  "name": "\u00e9",
  "none": {},
  "note": [
    NaN,
    -Infinity,
    {
      "x": Infinity
    }
  ],
  "num_labels": 7,
  "rate": 1e-05
}
)");
  CHECK(parse_resnet_config(text, "again").num_labels == 7);
}

TEST_CASE("a config.json that is no ResNet's is refused by name") {
  const auto refused = [](const std::string& text, const char* why) {
    test::check_throws<FileError>([&] { static_cast<void>(parse_resnet_config(text, "here")); },
                                  why);
  };
  refused("{}", "here: has no \"model_type\", expected resnet");
  refused(R"({"model_type": "vit"})", "model_type is \"vit\", expected resnet");
  refused(R"({"architecture": "resnet50d"})", "architecture is \"resnet50d\", expected resnet18");
  refused(R"({"architecture": "resnet51"})", "expected resnet18");
  for (const char* name : {"resnext50", "resnext50_32x", "resnext50_0x4d", "resnext18_32x4d"})
    refused(lora::message(R"({"architecture": ")", name, R"("})"), "such as resnext50_32x4d");
  refused(R"({"model_type": "resnet", "hidden_act": "gelu"})", "hidden_act is \"gelu\"");
  refused(R"({"model_type": "resnet", "quantization_config": {"quant_method": "gptq"}})",
          "quant_method is \"gptq\"");
  refused(R"({"model_type": "resnet", "layer_type": "wide"})", "expected basic or bottleneck");
  refused(R"({"model_type": "resnet", "depths": [1, 0, 2, 3]})", "depths is [1,0,2,3]");
  refused(R"({"model_type": "resnet", "depths": [1]})", "there are 1 depths and 4 hidden_sizes");
}
