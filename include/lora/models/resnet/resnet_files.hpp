#pragma once

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "lora/init/gaussian.hpp"
#include "lora/init/kaiming_uniform.hpp"
#include "lora/init/uniform.hpp"
#include "lora/io/atomic_file.hpp"
#include "lora/io/batch_count.hpp"
#include "lora/io/directory.hpp"
#include "lora/io/safetensors/safetensors_writer.hpp"
#include "lora/models/resnet/resnet_block_sizes.hpp"
#include "lora/models/resnet/resnet_config.hpp"
#include "lora/models/resnet/resnet_names.hpp"

namespace lora::models {

/// Writes a model's directory, which is made if there is none: model.safetensors and config.json,
/// whose text is `config`. Both are written in full before either replaces an old one. Throws
/// FileError.
inline void write_resnet_files(const std::filesystem::path& directory, const std::string& config,
                               std::vector<io::Tensor> tensors) {
  io::make_directory(directory);
  io::AtomicFile weights_file(directory / "model.safetensors");
  io::write_safetensors(weights_file, std::move(tensors));
  weights_file.flush();
  io::AtomicFile config_file(directory / "config.json");
  config_file.write(config);
  config_file.flush();
  weights_file.rename();
  config_file.rename();
  weights_file.commit();
  config_file.commit();
}

namespace detail {

// Lists the tensors of a new ResNet in the order of its modules.
class NewResNet {
 public:
  NewResNet(const ResNetConfig& config, std::uint64_t seed) : config_(config), seed_(seed) {}

  [[nodiscard]] std::vector<io::Tensor> tensors() {
    const ResNetNames names(config_.naming);
    add(names.stem(), stem_sizes(config_));
    for (std::size_t stage = 0; stage < config_.depths.size(); ++stage)
      for (Index i = 0; i < config_.depths[stage]; ++i) {
        const ResNetBlockSizes sizes(config_, stage, i);
        const std::string block = names.block(stage, i);
        if (sizes.shortcut) add(names.shortcut(block), *sizes.shortcut);
        for (std::size_t j = 0; j < sizes.convolutions.size(); ++j)
          add(names.convolution(block, static_cast<Index>(j)), sizes.convolutions[j]);
      }
    // torch.nn.Linear's start.
    Matrix<float> head(config_.num_labels, config_.hidden_sizes.back());
    kaiming_uniform<float>(head, next_random());
    Matrix<float> bias(1, config_.num_labels);
    uniform<float>(bias, next_random(), 1 / std::sqrt(static_cast<double>(head.cols())));
    tensors_.push_back(io::make_tensor(names.head() + ".weight", head));
    tensors_.push_back(io::make_tensor(names.head() + ".bias", bias, {bias.cols()}));
    return std::move(tensors_);
  }

 private:
  void add(const ConvNormNames& names, const ConvNormSizes& sizes) {
    const Window& window = sizes.window;
    const double fan_out = static_cast<double>(sizes.out) * static_cast<double>(window.taps());
    const Index in = sizes.in / sizes.groups;
    Matrix<float> weight(sizes.out, in * window.taps());
    gaussian<float>(weight, next_random(), std::sqrt(2 / fan_out));
    tensors_.push_back(io::make_tensor(names.conv + ".weight", weight,
                                       {sizes.out, in, window.kernel_height, window.kernel_width}));
    for (const auto& [part, value] :
         {std::pair{".weight", 1.F}, {".bias", 0.F}, {".running_mean", 0.F}, {".running_var", 1.F}})
      tensors_.push_back(io::make_tensor(
          names.norm + part, Matrix<float>::Constant(1, sizes.out, value), {sizes.out}));
    tensors_.push_back(io::batch_count(names.norm));
  }

  [[nodiscard]] Random next_random() {
    return Random(seed_, RandomStream::initialisation, ++layers_);
  }

  const ResNetConfig& config_;
  std::uint64_t seed_;
  std::uint64_t layers_ = 0;
  std::vector<io::Tensor> tensors_;
};

}  // namespace detail

/// Writes a new ResNet, to be trained from scratch: convolutions normal with variance 2 / (out *
/// height * width) (He et al., "Delving deep into rectifiers", 2015, by fan-out, as transformers
/// and torchvision do), norms of weight 1 and bias 0, the head as torch.nn.Linear starts. Throws
/// ConfigError and FileError.
inline void write_new_resnet(const std::filesystem::path& directory, const ResNetConfig& config,
                             std::uint64_t seed) {
  validate(config, "write_new_resnet");
  write_resnet_files(directory, resnet_config_text(config),
                     detail::NewResNet(config, seed).tensors());
}

}  // namespace lora::models
