#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "../support/progress_bar.hpp"
#include "agreement.hpp"
#include "data.hpp"
#include "embedded.hpp"
#include "idx.hpp"
#include "methods.hpp"
#include "options.hpp"
#include "store.hpp"
#include "train.hpp"

namespace digits {

/// Holds what one network gave, in percent of right answers on test images.
struct Result {
  std::string method = {};
  Index trainable = 0;
  std::optional<double> new_task = {};  ///< digits 5 to 9; the base has no head for them
  std::optional<double> old_off = {};   ///< digits 0 to 4, adapter off; not where the base is gone
  std::optional<double> old_on = {};    ///< digits 0 to 4 by their own head on the adapted layers
  Cost cost = {};
  std::uintmax_t stored = 0;  ///< bytes of the files
};

/// Holds the results of one seed, the base's first.
struct SeedResults {
  std::vector<Result> rows;
  Agreement agreement;
};

/// Returns the images, split by `seed`. Throws lora::FileError.
[[nodiscard]] inline Split load_data(const Options& options, std::uint64_t seed) {
  return options.data.empty() ? split(embedded_samples(), seed) : read_mnist(options.data, seed);
}

/// Returns the settings of one training.
[[nodiscard]] inline Training training(const Options& options, double learning_rate,
                                       std::uint64_t seed) {
  return {options.epochs, options.batch, learning_rate, seed};
}

/// Trains the base on the digits 0 to 4, adapts it to 5 to 9 by every method, and saves what each
/// has trained in folders of options.out.
[[nodiscard]] inline SeedResults run_seed(const Options& options, std::uint64_t seed,
                                          examples::ProgressBar& progress) {
  const Split all = load_data(options, seed);
  const Split old_task = task(all, 0, 4), new_task = task(all, 5, 9);
  const std::filesystem::path out = options.out;
  const auto advance = [&progress] { progress.advance(); };
  SeedResults results;

  progress.set_step("the base");
  auto network = new_network<float>(all.train.images.cols(), options.hidden, 5, seed);
  const Cost base_cost =
      train(network, old_task.train, training(options, options.base_learning_rate, seed), advance);
  const std::uintmax_t base_bytes = save(out / "base", network);
  const double base_accuracy = accuracy(network.logits(old_task.test.images), old_task.test.labels);
  results.rows.push_back({"base, digits 0 to 4",
                          lora::count_parameters(network.parameters()),
                          {},
                          base_accuracy,
                          {},
                          base_cost,
                          base_bytes});
  const Base<float> base = freeze(network);

  for_each_method(base, 5, options, seed, [&](const Method& method, auto& adapted) {
    using Adapted = std::decay_t<decltype(adapted)>;
    progress.set_step(method.name);
    Result row{method.name, lora::count_parameters(adapted.parameters())};
    row.cost =
        train(adapted, new_task.train, training(options, method.learning_rate, seed), advance);
    row.new_task = accuracy(adapted.logits(new_task.test.images), new_task.test.labels);
    const auto old_accuracy = [&] {
      return accuracy(adapted.logits(old_task.test.images, base.head), old_task.test.labels);
    };
    row.old_on = old_accuracy();
    const std::filesystem::path folder = out / method.folder;
    row.stored = save(folder, adapted);
    if constexpr (std::is_same_v<Adapted, LoRANetwork<float, lora::MappedWeight<float>>>) {
      switch_adapters(adapted, false);
      row.old_off = old_accuracy();
      switch_adapters(adapted, true);
      results.agreement.add(
          compare(base, adapted, folder, old_task.test.images, new_task.test.images));
    }
    results.rows.push_back(row);
  });
  return results;
}

}  // namespace digits
