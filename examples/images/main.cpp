// Adapts a ResNet to new classes of images, and says what that costs and keeps.
//
// A network is trained on half of Fashion-MNIST's classes and frozen (or read from a folder). Then
// it is adapted to the others with a few images, on the same ones and for as long by every method:
// a new head alone, the batch norms, LoRA at several ranks, full fine-tuning. With --data it is a
// user's own photographs, and a ResNet from Hugging Face. README.md has the method and figures.

#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>

#include "../support/progress_bar.hpp"
#include "../support/run_program.hpp"
#include "base.hpp"
#include "methods.hpp"
#include "options.hpp"
#include "problem.hpp"
#include "report.hpp"
#include "run_method.hpp"

namespace images_example {
namespace {

Problem read_problem(const Options& options, bool terminal) {
  if (options.data.empty()) {
    if (options.fashion.empty())
      throw lora::ConfigError("expected --fashion or --data: the images to learn");
    return fashion_problem(options);
  }
  if (options.model.empty())
    throw lora::ConfigError("--data needs --model: the ResNet that is adapted to them");
  examples::ProgressBar progress(std::cerr, terminal, "photographs", 1);
  int read = 0;
  Problem problem =
      photo_problem(options, lora::models::read_image_settings(options.model), [&] { ++read; });
  progress.finish(std::to_string(read) + " read");
  return problem;
}

// Returns whether saving, loading and merging agree.
bool run(const Options& options) {
  const bool terminal = examples::error_output_is_terminal();
  const Problem problem = read_problem(options, terminal);
  const std::filesystem::path out = options.out;
  std::filesystem::path folder = options.model;
  if (options.model.empty()) {
    folder = out / "base";
    examples::ProgressBar progress(std::cerr, terminal, "the base", base_steps(options, problem));
    train_base(options, problem, folder, progress);
    progress.finish("trained");
  }
  const Base base = open_base(folder, problem, options.batch);
  std::cout << "base: " << folder.string() << ", "
            << examples::grouped(static_cast<std::uint64_t>(base.parameters)) << " parameters";
  if (problem.old_labelled)
    std::cout << ", " << examples::fixed(base.old_accuracy, 1) << " % of the old classes right";
  std::cout << "\nnew classes:";
  for (const std::string& name : problem.classes) std::cout << ' ' << name << ';';
  std::cout << ' ' << options.shots << " images of each to train with, " << problem.test.size()
            << " in all to test\n\n";

  Results results;
  const std::vector<Method> all = methods(options, base.config);
  const auto images = static_cast<int>(problem.classes.size()) * static_cast<int>(options.shots);
  const int steps =
      (images + static_cast<int>(options.batch) - 1) / static_cast<int>(options.batch);
  for (int i = 0; i < options.seeds; ++i) {
    const std::uint64_t seed = options.seed + static_cast<std::uint64_t>(i);
    const LabelledImages train =
        draw(problem.pool, options.shots, static_cast<Index>(problem.classes.size()), seed);
    const std::filesystem::path seed_folder = out / ("seed-" + std::to_string(seed));
    if (options.keep_images) {
      save_images(train, seed_folder / "train.safetensors");
      save_images(problem.test, seed_folder / "test.safetensors");
    }
    auto& of_seed = results.emplace_back();
    examples::ProgressBar progress(std::cerr, terminal, "seed " + std::to_string(seed),
                                   static_cast<int>(all.size()) * steps * options.epochs);
    for (const Method& method : all) {
      progress.set_step(method.name);
      of_seed.push_back(run_method(method, base, problem, train, options, seed,
                                   seed_folder / method.folder, [&] { progress.advance(); }));
    }
    progress.finish("done");
  }
  print_table(results, base.parameters, std::cout);
  const bool agree = print_agreement(results, options.out, std::cout);
  if (!options.plot.empty()) {
    std::ofstream file(options.plot, std::ios::binary);
    file << chart(results, lora::message(options.shots, " images of each new class, ",
                                         options.epochs, " epochs, ", options.seeds, " seeds, ",
                                         problem.test.size(), " images to test"))
                .svg();
    if (!file.flush()) throw lora::FileError(options.plot + ": cannot be written");
  }
  return agree;
}

}  // namespace
}  // namespace images_example

int main(int argc, char** argv) {
  CLI::App app{"Adapts a ResNet to new classes of images with LoRA"};
  images_example::Options options;
  images_example::add_options(app, options);
  CLI11_PARSE(app, argc, argv);
  return examples::run_program("images", options.threads,
                               [&] { return images_example::run(options); });
}
