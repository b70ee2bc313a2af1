#include <lora/models/resnet/resnet_config.hpp>

#include "support/catch.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::models;

TEST_CASE("ResNets of the papers' depths are known") {
  const ResNetConfig fifty = resnet_config(50, 1000);
  CHECK(fifty.depths == std::vector<Index>{3, 4, 6, 3});
  CHECK(fifty.inner_size(256) == 64);
  CHECK(resnet_config(18, 10).hidden_sizes == std::vector<Index>{64, 128, 256, 512});
  CHECK(resnet_config(152, 10).depths[2] == 36);
  const ResNetConfig twenty = cifar_resnet_config(20, 10);
  CHECK(twenty.depths == std::vector<Index>{3, 3, 3});
  CHECK(twenty.stem == ResNetStem::cifar);
  const ResNetConfig next = resnext_config(50, 32, 4, 10);
  CHECK(next.inner_size(256) == 128);
  CHECK(resnext_config(101, 32, 8, 10).inner_size(2048) == 2048);
  CHECK(resnext_config(50, 1, 128, 10).inner_size(256) == 128);
  test::check_throws<ConfigError>([] { static_cast<void>(resnext_config(34, 32, 4, 10)); },
                                  "depth is 34, expected 50, 101 or 152");
  test::check_throws<ConfigError>([] { static_cast<void>(resnet_config(51, 10)); },
                                  "depth is 51, expected 18, 34, 50, 101 or 152");
  test::check_throws<ConfigError>([] { static_cast<void>(cifar_resnet_config(21, 10)); },
                                  "expected 6 n + 2");
}

TEST_CASE("a ResNet of no sizes is refused") {
  const auto refused = [](auto change, const char* why) {
    ResNetConfig config;
    change(config);
    test::check_throws<ConfigError>([&] { validate(config, "here"); }, why);
  };
  refused([](auto& c) { c.num_labels = 0; }, "here: num_labels is 0");
  refused([](auto& c) { c.depths = {1}; }, "there are 1 depths and 4 hidden_sizes");
  refused([](auto& c) { c.depths[1] = 0; }, "a depth is 0");
  refused([](auto& c) { c.hidden_sizes[0] = 3; }, "a quarter of a hidden size is 0");
  refused([](auto& c) { c.groups = 0; }, "groups is 0");
  refused(
      [](auto& c) {
        c.layer_type = ResNetBlockType::basic;
        c.groups = 2;
      },
      "groups is 2 and width_per_group 64, expected 1 and 64");
}
