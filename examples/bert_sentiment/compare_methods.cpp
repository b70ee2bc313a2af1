// Compares ways of adapting a BERT model to sentiment: LoRA at several ranks, full fine-tuning,
// bottleneck adapters, the last layers, the head alone. One table (and, with --plot, a drawing)
// shows what each trains, scores, takes, stores, and how much it leaves of the base's behaviour.
// Learning rates are chosen on validation sentences, each method's for itself.

#include <CLI/CLI.hpp>
#include <string>
#include <utility>

#include "../support/run_program.hpp"
#include "compare.hpp"
#include "methods.hpp"
#include "methods_chart.hpp"

int main(int argc, char** argv) {
  CLI::App app{"Compares ways of adapting BERT to the sentiment of sentences"};
  app.footer(std::string("Weights. ") + bert::how_to_get_a_model + "\n\nData. " +
             sentiment::how_to_get_the_data);
  bert::Options options;
  options.out = "sentiment-methods";
  options.epochs = 3;
  sentiment::MethodOptions wanted;
  bert::add_options(app, options, "the labelled sentences: see below");
  sentiment::add_method_options(app, wanted, options);
  CLI11_PARSE(app, argc, argv);
  return examples::run_program("compare_methods", options.threads, [&] {
    sentiment::compare(
        options, wanted,
        [&](const bert::Options& of_seed) { return sentiment::methods(of_seed, wanted); },
        [](const auto& results, std::string caption) {
          return sentiment::methods_chart(results, std::move(caption)).svg();
        });
    return true;
  });
}
