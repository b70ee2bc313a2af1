#pragma once

#include <CLI/CLI.hpp>
#include <lora/core/matrix.hpp>
#include <string>

#include "../support/comparison_options.hpp"

namespace images_example {

using lora::Index;

/// What the program is asked for. README.md says how the learning rates were found.
struct Options : examples::ComparisonOptions {
  Options() {
    seeds = 5;
    ranks = {1, 4, 16};
    batch = 20;
    full_learning_rate = 9e-3;
    head_learning_rate = 6e-2;
    out = "images-adapters";
  }

  std::string fashion = {};  ///< folder of Fashion-MNIST's four files
  std::string data = {};     ///< or folder of a user's photographs, a folder each class
  std::string model = {};    ///< folder of a ResNet; empty: one is trained on the old classes
  Index depth = 8;           ///< of the network that is trained
  Index base_images = 6000;  ///< that it is trained on
  int base_epochs = 6;
  double base_learning_rate = 4e-3;
  Index shots = 20;         ///< images of each new class to adapt with
  Index test_images = 200;  ///< of each class, at most
  double norm_learning_rate = 3e-2;
  std::string plot = {};
  bool keep_images = false;  ///< whether what is drawn is saved too
};

/// Adds every option to `app`, which then parses into `options`.
inline void add_options(CLI::App& app, Options& options) {
  const auto rate = examples::positive_number_up_to(1);
  const auto count = CLI::Range(1, 1'000'000);
  examples::add_comparison_options(app, options);
  for (const char* name : {"--learning-rate", "--full-learning-rate", "--head-learning-rate"})
    app.get_option(name)->check(rate);
  app.get_option("--ranks")->check(CLI::Range(1, 1024));
  auto* const fashion =
      app.add_option("--fashion", options.fashion, "folder of Fashion-MNIST's four files, unpacked")
          ->check(CLI::ExistingDirectory);
  app.add_option("--data", options.data,
                 "instead: folder of photographs (PNG, JPEG, PPM), in a folder for each class")
      ->check(CLI::ExistingDirectory)
      ->excludes(fashion);
  app.add_option("--model", options.model,
                 "folder of a ResNet (config.json and model.safetensors) to adapt; needed for "
                 "--data; without it one is trained on Fashion-MNIST's classes 0 to 4")
      ->check(CLI::ExistingDirectory);
  app.add_option("--depth", options.depth, "of the network that is trained: 8, 14, 20, 6 n + 2")
      ->check(CLI::Range(8, 110))
      ->capture_default_str();
  app.add_option("--base-images", options.base_images, "that it is trained on")
      ->check(count)
      ->capture_default_str();
  app.add_option("--base-epochs", options.base_epochs, "that it is trained for")
      ->check(count)
      ->capture_default_str();
  app.add_option("--base-learning-rate", options.base_learning_rate, "that it is trained at")
      ->check(rate)
      ->capture_default_str();
  app.add_option("--shots", options.shots, "images of each new class to adapt with")
      ->check(count)
      ->capture_default_str();
  app.add_option("--test-images", options.test_images, "of each class, at most")
      ->check(count)
      ->capture_default_str();
  app.add_option("--norm-learning-rate", options.norm_learning_rate, "of the batch norms alone")
      ->check(rate)
      ->capture_default_str();
  app.add_flag("--keep-images", options.keep_images,
               "save the images that each seed draws, and those of the test, beside its adapters");
  app.add_option("--plot", options.plot, "SVG file to draw");
}

}  // namespace images_example
