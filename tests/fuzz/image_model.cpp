// Reads any bytes as what stands beside an image model. The first byte says what the rest is: r a
// ResNet's config.json, p a preprocessor_config.json, t a timm config.json with its pretrained_cfg.
// A network that was read has sizes that can be computed with and modules with names of their own;
// settings that were read make finite numbers of an image's bytes.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <lora/models/common/image_settings.hpp>
#include <lora/models/resnet/resnet_config.hpp>
#include <lora/models/resnet/resnet_outline.hpp>

namespace {

using namespace lora;
using namespace lora::models;

void require(bool holds) {
  if (!holds) std::abort();
}

void look_at(const ResNetConfig& config) {
  require(config.num_labels >= 1 && config.num_labels <= label_limit);
  require(config.depths.size() == config.hidden_sizes.size() && !config.depths.empty());
  Index blocks = 0, in = config.embedding_size;
  // What the kernels of a model may hold: no size overflows.
  const auto require_kernel = [](Index out, Index channels, Index window) {
    Index elements = 0;
    require(out >= 1 && channels >= 1);
    require(!__builtin_mul_overflow(out, channels * window * Index{sizeof(double)}, &elements));
  };
  require_kernel(config.embedding_size, config.num_channels, 49);
  for (std::size_t stage = 0; stage < config.depths.size(); ++stage) {
    const Index out = config.hidden_sizes[stage], inner = config.inner_size(out);
    require_kernel(inner, in, 9);
    require_kernel(out, inner, 9);
    require_kernel(out, in, 1);
    require(config.depths[stage] >= 1);
    blocks += config.depths[stage];
    in = out;
  }
  require_kernel(config.num_labels, in, 1);
  if (blocks > 64) return;
  std::set<std::string> names;
  for (const auto& module : resnet_outline(config).modules)
    require(names.insert(module.name).second);
}

void look_at(const images::Preprocessing& how) {
  for (const Index channels : {Index{1}, Index{3}}) {
    const auto fits = [&](const std::vector<double>& numbers) {
      return numbers.empty() || static_cast<Index>(numbers.size()) == channels;
    };
    if (!fits(how.mean) || !fits(how.std)) continue;
    std::vector<std::uint8_t> bytes(static_cast<std::size_t>(2 * channels), 255);
    bytes[0] = 0;
    Matrix<float> x;
    images::normalize<float>({bytes, 1, 2, channels}, how, x);
    for (const float number : x.reshaped()) require(std::isfinite(number));
    // Larger ones take long.
    if (how.height > 32 || how.width > 32) continue;
    try {
      images::preprocess<float>({bytes, 1, 2, channels}, how, x);
    } catch (const ShapeError&) {
      continue;  // a side that would be longer than any image's
    }
    require(how.fitting == images::Fitting::none || x.rows() == how.height * how.width);
    for (const float number : x.reshaped()) require(std::isfinite(number));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  try {
    if (data[0] == 'r') look_at(parse_resnet_config(text, "fuzz"));
    if (data[0] == 'p') look_at(parse_image_settings(text, "fuzz"));
    if (data[0] == 't') look_at(parse_timm_image_settings(text, "fuzz"));
  } catch (const FileError&) {
    // What a file deserves that is not one.
  }
  return 0;
}
