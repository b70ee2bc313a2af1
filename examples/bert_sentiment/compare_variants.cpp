// Compares variants of LoRA on sentiment, with as many trained parameters each: LoRA, rsLoRA, DoRA,
// PiSSA, OLoRA, LoRA+ and LoRA-FA. Tables and --plot as compare_methods has them.

#include <CLI/CLI.hpp>
#include <string>
#include <utility>

#include "../support/run_program.hpp"
#include "compare.hpp"
#include "variants.hpp"
#include "variants_chart.hpp"

int main(int argc, char** argv) {
  CLI::App app{"Compares variants of LoRA on the sentiment of sentences"};
  app.footer(std::string("Weights. ") + bert::how_to_get_a_model + "\n\nData. " +
             sentiment::how_to_get_the_data);
  bert::Options options;
  options.out = "sentiment-variants";
  options.epochs = 3;
  sentiment::VariantOptions wanted;
  bert::add_options(app, options, "the labelled sentences: see below");
  sentiment::add_variant_options(app, wanted, options);
  CLI11_PARSE(app, argc, argv);
  return examples::run_program("compare_variants", options.threads, [&] {
    sentiment::compare(
        options, wanted,
        [&](const bert::Options& of_seed) { return sentiment::variants(of_seed, wanted); },
        [](const auto& results, std::string caption) {
          return sentiment::variants_chart(results, std::move(caption)).svg();
        });
    return true;
  });
}
