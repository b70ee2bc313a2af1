#include <lora/images/cifar.hpp>

#include <vector>

#include "support/catch.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::images;

TEST_CASE("CIFAR's binary files are read, their planes put side by side") {
  std::vector<std::uint8_t> ten(2 * 3073), hundred(3074);
  ten[0] = 9;
  ten[1 + 5] = 1;
  ten[1 + 1024 + 5] = 2;
  ten[1 + 2048 + 5] = 3;
  ten[3073] = 4;
  const LabelledImages all = parse_cifar(ten, CifarKind::cifar10, "f");
  CHECK(all.labels == std::vector<int>{9, 4});
  const std::uint8_t* pixel = all.image(0).pixel(0, 5);
  CHECK((pixel[0] == 1 && pixel[1] == 2 && pixel[2] == 3));
  hundred[0] = 19;
  hundred[1] = 99;
  CHECK(parse_cifar(hundred, CifarKind::cifar100_fine, "f").labels[0] == 99);
  CHECK(parse_cifar(hundred, CifarKind::cifar100_coarse, "f").labels[0] == 19);
}

TEST_CASE("files that are none of CIFAR's are refused") {
  std::vector<std::uint8_t> bytes(3073);
  const auto refused = [&](CifarKind kind, const char* why) {
    test::check_throws<FileError>([&] { static_cast<void>(parse_cifar(bytes, kind, "f")); }, why);
  };
  bytes[0] = 10;
  refused(CifarKind::cifar10, "f: image 0 has label 10, expected one below 10");
  refused(CifarKind::cifar100_fine, "f: has 3073 bytes, expected a whole number of images of 3074");
  bytes.clear();
  refused(CifarKind::cifar10, "f: has 0 bytes");
}
