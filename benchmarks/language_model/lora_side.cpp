// Runs a language model of Llama's family with LoRA adapters, and says how fast: prefill, decode, a
// training step, peak memory; its losses and its greedy text, for others to be held to. run.py
// starts it and its peers.
//
// lora_language_model --model PATH --storage float32|bfloat16|file --tokens FILE --start FOLDER
//                     [--steps N] [--threads N]
//
// FILE has token ids, one text of equal length a line. FOLDER gets the adapter before the first
// step, and for llama.cpp the trained one. Prints one JSON object.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <lora/generation.hpp>
#include <lora/io.hpp>
#include <lora/lora.hpp>
#include <lora/models.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "../peers/process_memory.hpp"
#include "../seconds.hpp"

#ifdef _OPENMP
#include <omp.h>
#endif

namespace {

using lora::Index;

struct Options {
  std::string model, storage = "float32", tokens, start;
  int steps = 20, threads = 1;
};

std::vector<std::vector<int>> read_texts(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::vector<int>> texts;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::vector<int> ids;
    for (int id = 0; words >> id;) ids.push_back(id);
    if (!ids.empty()) texts.push_back(std::move(ids));
  }
  if (texts.empty()) throw lora::FileError(path + ": has no token ids");
  return texts;
}

template <class Frozen>
lora::io::Json measure(const Options& options) {
  using Model = lora::models::LlamaModel<float, Frozen>;
  const auto texts = read_texts(options.tokens);
  lora::peft::PeftConfig config;
  config.r = 8;
  config.lora_alpha = 16;
  config.target_modules = "all-linear";
  config.task_type = "CAUSAL_LM";
  lora::io::Json result;
  Model model(options.model, {.tuning = config, .seed = 1});
  model.save_adapter(options.start);

  // What the base writes, and how fast; B = 0, so the adapter changes nothing.
  const std::vector<int>& prompt = texts.front();
  lora::Matrix<float> logits;
  const std::vector<int> counts{static_cast<int>(prompt.size())};
  double prefill = 1e9, decode = 1e9;
  for (int i = 0; i < 3; ++i) {
    auto cache = model.make_cache(1, static_cast<Index>(prompt.size()) + 64);
    prefill = std::min(
        prefill, lora::bench::seconds([&] { model.next_logits(prompt, counts, cache, logits); }));
    std::vector<int> written;
    decode = std::min(decode, lora::bench::seconds([&] {
                        for (int t = 0; t < 64; ++t) {
                          Index best = 0;
                          logits.row(0).maxCoeff(&best);
                          written.push_back(static_cast<int>(best));
                          if (t < 63)
                            model.next_logits(std::span<const int>(&written.back(), 1),
                                              std::vector<int>{1}, cache, logits);
                        }
                      }));
    result["greedy"] = written;
  }
  result["prefill"] = static_cast<double>(prompt.size()) / prefill;
  result["decode"] = 63 / decode;

  // A text a step, as the peers take them.
  lora::AdamW<float> optimizer({.learning_rate = 1e-3, .weight_decay = 0});
  lora::models::CausalTape<float> tape;
  const auto parameters = model.parameters();
  std::vector<double> times;
  for (int step = 0; step < options.steps; ++step) {
    const auto& ids = texts[static_cast<std::size_t>(step) % texts.size()];
    const lora::models::CausalBatch batch(ids, std::vector<int>{static_cast<int>(ids.size())});
    times.push_back(lora::bench::seconds([&] {
      lora::zero_grad(parameters);
      result["losses"].push_back(model.loss(batch, ids, tape).mean());
      model.backward(tape);
      optimizer.step(parameters);
    }));
  }
  result["peak_mib"] = static_cast<double>(lora::bench::process_memory().peak_kib) / 1024;
  std::sort(times.begin(), times.end());
  result["train"] = static_cast<double>(prompt.size()) / times[times.size() / 2];

  // What the trained adapter foresees after the prompt, and the adapter itself.
  lora::models::save_gguf_adapter(std::filesystem::path(options.start) / "trained.gguf", model);
  auto cache = model.make_cache(1, static_cast<Index>(prompt.size()));
  model.next_logits(prompt, counts, cache, logits);
  const double largest = logits.maxCoeff();
  const double sum = std::log((logits.cast<double>().array() - largest).exp().sum()) + largest;
  for (Index i = 0; i < logits.cols(); ++i)
    result["log_probabilities"].push_back(static_cast<double>(logits(0, i)) - sum);
  return result;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"Measures a language model with LoRA adapters"};
  app.add_option("--model", options.model, "a Hugging Face folder or a GGUF file")->required();
  app.add_option("--storage", options.storage, "of the frozen weights; file: as they lie there")
      ->check(CLI::IsMember({"float32", "bfloat16", "file"}));
  app.add_option("--tokens", options.tokens, "ids, a text a line")->required();
  app.add_option("--start", options.start, "folder for the first adapter")->required();
  app.add_option("--steps", options.steps)->check(CLI::Range(1, 100000));
  app.add_option("--threads", options.threads)->check(CLI::Range(1, 1024));
  CLI11_PARSE(app, argc, argv);
#ifdef _OPENMP
  omp_set_num_threads(options.threads);
#endif
  try {
    const auto measured = options.storage == "bfloat16" ? measure<lora::HalfWeight<float>>(options)
                          : options.storage == "file"   ? measure<lora::BlockWeight<float>>(options)
                                                      : measure<lora::PackedWeight<float>>(options);
    std::cout << measured << '\n';
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "lora_language_model: " << error.what() << '\n';
    return 1;
  }
}
