#pragma once

#include <lora/models.hpp>
#include <string>
#include <vector>

#include "../bert/model.hpp"
#include "../bert/options.hpp"

namespace sentiment {

using bert::Index;

/// Names the ways of adapting that are compared, for the drawing.
enum class Family { lora, full, bottleneck, last_layers, head };

/// One way of adapting the model.
struct Method {
  Family family;
  std::string name;    ///< for the table
  std::string folder;  ///< that its result is saved in
  lora::models::Tuning tuning;
  double learning_rate;
};

/// Holds what is asked for beyond Options.
struct MethodOptions {
  std::vector<Index> ranks{1, 2, 4, 8, 16};
  std::vector<Index> bottlenecks{8, 64};
  std::vector<Index> layers{1, 2};
  int seeds = 1;
  double full_learning_rate = 1e-4;
  double bottleneck_learning_rate = 1e-3;
  double layers_learning_rate = 2e-4;
  double head_learning_rate = 1e-2;
  std::string untouched = {};  ///< text that the base's behaviour is looked at on
  std::string plot = {};
};

/// Adds every option to `app`, which then parses into `options`.
inline void add_method_options(CLI::App& app, MethodOptions& options) {
  const auto sizes = CLI::Range(1, 4096);
  const auto rate = CLI::Range(0.0, 1.0);
  app.add_option("--ranks", options.ranks, "of LoRA, as in 1,2,4,8,16")
      ->delimiter(',')
      ->check(sizes)
      ->capture_default_str();
  app.add_option("--bottlenecks", options.bottlenecks, "widths of bottleneck adapters")
      ->delimiter(',')
      ->check(sizes)
      ->capture_default_str();
  app.add_option("--layers", options.layers, "how many of the last layers are trained")
      ->delimiter(',')
      ->check(sizes)
      ->capture_default_str();
  app.add_option("--seeds", options.seeds, "repeat over this many: mean and spread")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--full-learning-rate", options.full_learning_rate, "of full fine-tuning")
      ->check(rate)
      ->capture_default_str();
  app.add_option("--bottleneck-learning-rate", options.bottleneck_learning_rate,
                 "of bottleneck adapters")
      ->check(rate)
      ->capture_default_str();
  app.add_option("--layers-learning-rate", options.layers_learning_rate, "of the last layers")
      ->check(rate)
      ->capture_default_str();
  app.add_option("--head-learning-rate", options.head_learning_rate, "of the head alone")
      ->check(rate)
      ->capture_default_str();
  app.add_option("--untouched", options.untouched,
                 "file of CoNLL columns whose sentences no method has seen [the test sentences]");
  app.add_option("--plot", options.plot, "SVG file to draw");
}

/// Lists the methods, from the fewest trained parameters to the most of each family.
[[nodiscard]] inline std::vector<Method> methods(const bert::Options& options,
                                                 const MethodOptions& wanted) {
  std::vector<Method> all{
      {Family::head, "head alone", "head", lora::models::HeadOnly{}, wanted.head_learning_rate}};
  for (const Index rank : wanted.ranks) {
    bert::Options of_rank = options;
    of_rank.rank = rank;
    const std::string number = std::to_string(rank);
    all.push_back({Family::lora, "LoRA, rank " + number, "lora-r" + number,
                   bert::peft_config(of_rank, "SEQ_CLS"), options.learning_rate});
  }
  for (const Index width : wanted.bottlenecks) {
    const std::string number = std::to_string(width);
    all.push_back({Family::bottleneck, "bottleneck, width " + number, "bottleneck-" + number,
                   lora::models::BottleneckAdapters{width}, wanted.bottleneck_learning_rate});
  }
  for (const Index count : wanted.layers) {
    const std::string number = std::to_string(count);
    all.push_back({Family::last_layers, "last layers, " + number, "last-" + number,
                   lora::models::LastLayers{count}, wanted.layers_learning_rate});
  }
  all.push_back({Family::full, "full fine-tuning", "full", lora::models::FullTuning{},
                 wanted.full_learning_rate});
  return all;
}

}  // namespace sentiment
