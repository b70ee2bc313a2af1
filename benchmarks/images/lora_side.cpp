// Runs a ResNet, frozen and with LoRA adapters on all convolutions, on random images, and says how
// fast: a frozen forward, an adapter's forward, a training step, memory; and its logits, for others
// to be held to. run.py starts it and its peer.
//
// lora_images --model FOLDER --pixels FILE --batch N [--size N] [--turns N] [--threads N]
//
// FILE is a safetensors file with "pixels", one row a pixel. Prints one JSON object.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <lora/io.hpp>
#include <lora/lora.hpp>
#include <lora/models.hpp>
#include <string>
#include <vector>

#include "../peers/process_memory.hpp"
#include "../seconds.hpp"

#ifdef _OPENMP
#include <omp.h>
#endif

namespace {

struct Options {
  std::string model, pixels;
  lora::Index batch = 1, size = 224;
  int turns = 5, threads = 1;
};

lora::io::Json measure(const Options& options) {
  using Model = lora::models::ResNetClassifier<float>;
  lora::peft::PeftConfig config;
  config.r = 8;
  config.lora_alpha = 16;
  config.target_modules = std::vector<std::string>{"convolution"};
  config.modules_to_save = {"classifier"};
  Model model(options.model, {.tuning = config, .seed = 1});
  const lora::models::ImageBatch<float> batch{
      {options.batch, options.size, options.size},
      lora::io::SafetensorsReader(options.pixels).read<float>("pixels")};
  const std::vector<int> labels(static_cast<std::size_t>(options.batch), 1);
  lora::models::ImageTape<float> tape;
  lora::Matrix<float> logits, dlogits;
  double frozen = 1e9, forward = 1e9, step = 1e9;
  for (int turn = 0; turn < options.turns; ++turn) {
    model.set_adapters_enabled(false);
    frozen = std::min(frozen, lora::bench::seconds([&] { model.forward(batch, logits); }));
    model.set_adapters_enabled(true);
    forward = std::min(forward, lora::bench::seconds([&] { model.forward(batch, logits); }));
    step = std::min(step, lora::bench::seconds([&] {
                      lora::zero_grad(model.parameters());
                      model.forward(batch, tape, logits);
                      lora::cross_entropy<float>(logits, labels, dlogits);
                      model.backward(dlogits, tape);
                    }));
  }
  lora::io::Json result{{"frozen", frozen},
                        {"forward", forward},
                        {"step", step},
                        {"peak_mib", double(lora::bench::process_memory().peak_kib) / 1024},
                        {"tape_mib", double(tape.frames.bytes()) / (1 << 20)}};
  // B = 0: the adapters change nothing.
  for (lora::Index i = 0; i < logits.size(); ++i) result["logits"].push_back(logits.data()[i]);
  return result;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"Measures a ResNet with LoRA adapters"};
  app.add_option("--model", options.model, "a folder in transformers' layout")->required();
  app.add_option("--pixels", options.pixels, "safetensors with the images")->required();
  app.add_option("--batch", options.batch)->check(CLI::Range(1, 4096));
  app.add_option("--size", options.size, "pixels a side")->check(CLI::Range(32, 4096));
  app.add_option("--turns", options.turns)->check(CLI::Range(1, 1000));
  app.add_option("--threads", options.threads)->check(CLI::Range(1, 1024));
  CLI11_PARSE(app, argc, argv);
#ifdef _OPENMP
  omp_set_num_threads(options.threads);
#endif
  try {
    std::cout << measure(options) << '\n';
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "lora_images: " << error.what() << '\n';
    return 1;
  }
}
