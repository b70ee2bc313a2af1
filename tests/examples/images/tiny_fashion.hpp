#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "examples/images/problem.hpp"

namespace lora::test {

/// Writes the four files of a Fashion-MNIST of 8 x 8 pixels: of each class `train` and `test`
/// images, as many bright rows or columns as the class says, and some noise.
inline void write_tiny_fashion(const std::filesystem::path& folder, int train, int test) {
  std::filesystem::create_directories(folder);
  const auto write = [&](const std::string& name, int each) {
    std::string images("\0\0\10\3\0\0\0\0\0\0\0\10\0\0\0\10", 16), labels("\0\0\10\1\0\0\0\0", 8);
    for (std::string* text : {&images, &labels}) {
      (*text)[6] = static_cast<char>(each * 10 / 256);
      (*text)[7] = static_cast<char>(each * 10 % 256);
    }
    std::uint32_t noise = static_cast<std::uint32_t>(each);
    for (int i = 0; i < each; ++i)
      for (int label = 0; label < 10; ++label) {
        labels += static_cast<char>(label);
        for (int y = 0; y < 8; ++y)
          for (int x = 0; x < 8; ++x) {
            noise = noise * 1664525 + 1013904223;
            const bool bright = label < 5 ? y <= label : x <= label - 5;
            images += static_cast<char>((bright ? 180 : 20) + (noise >> 26));
          }
      }
    std::ofstream(folder / (name + "-images-idx3-ubyte"), std::ios::binary) << images;
    std::ofstream(folder / (name + "-labels-idx1-ubyte"), std::ios::binary) << labels;
  };
  write("train", train);
  write("t10k", test);
}

/// Returns the settings of a run over them that takes a second.
inline images_example::Options tiny_options(const std::filesystem::path& folder) {
  images_example::Options options;
  options.fashion = (folder / "fashion").string();
  options.base_images = 150;
  options.base_epochs = 40;
  options.shots = 5;
  options.test_images = 8;
  options.epochs = 12;
  options.batch = 10;
  options.ranks = {2};
  options.out = (folder / "out").string();
  return options;
}

}  // namespace lora::test
