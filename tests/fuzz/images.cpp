// Reads any bytes as a file of images: what was read can be looked at, and is no more than the
// bytes. The first byte says what the rest is: i two IDX files, of which the labels' is as long as
// the next byte says and comes last; c, f and k CIFAR-10, and CIFAR-100 with its fine and its
// coarse labels; p PPM or PGM, which is also made as small as a model wants it.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include <lora/images.hpp>

namespace {

using namespace lora;
using namespace lora::images;

void require(bool holds) {
  if (!holds) std::abort();
}

void look_at(const LabelledImages& all, std::size_t size) {
  require(all.bytes.size() + all.labels.size() <= size);
  require(all.height >= 1 && all.height <= size_limit && all.width >= 1 && all.width <= size_limit);
  unsigned sum = 0;
  for (Index i = 0; i < all.size(); ++i) {
    const ImageView image = all.image(i);
    require(image.height() == all.height && image.width() == all.width);
    for (const std::uint8_t byte : image.bytes()) sum += byte;
  }
  require(sum <= 255 * size);
}

void look_at(const Image& image) {
  Preprocessing how{.height = 8, .width = 8};
  if (image.channels == 1) how.mean = how.std = {0.5};
  Matrix<float> x;
  preprocess<float>(image.view(), how, x);
  require(x.rows() == 64 && x.cols() == image.channels);
  for (const float number : x.reshaped()) require(std::abs(number) < 8);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::span bytes(data + 1, size - 1);
  try {
    switch (data[0]) {
      case 'i': {
        const std::size_t count = std::min<std::size_t>(bytes[0], bytes.size() - 1);
        const auto files = bytes.subspan(1);
        look_at(parse_idx_images(files.first(files.size() - count), "images", files.last(count),
                                 "labels"),
                size);
        break;
      }
      case 'c':
        look_at(parse_cifar(bytes, CifarKind::cifar10, "fuzz"), size);
        break;
      case 'f':
        look_at(parse_cifar(bytes, CifarKind::cifar100_fine, "fuzz"), size);
        break;
      case 'k':
        look_at(parse_cifar(bytes, CifarKind::cifar100_coarse, "fuzz"), size);
        break;
      case 'p':
        look_at(parse_ppm({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, "fuzz"));
        break;
      default:
        break;
    }
  } catch (const FileError&) {
    // What a file deserves that is not one.
  }
  return 0;
}
