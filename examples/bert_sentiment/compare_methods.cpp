// Compares ways of adapting a BERT model to sentiment: LoRA at several ranks, full fine-tuning,
// bottleneck adapters, the last layers, the head alone. One table (and, with --plot, a drawing)
// shows what each trains, scores, takes, stores, and how much it leaves of the base's behaviour.
// Learning rates are chosen on validation sentences, each method's for itself.

#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>

#include "../bert/model.hpp"
#include "../bert/options.hpp"
#include "../support/progress_bar.hpp"
#include "../support/run_program.hpp"
#include "experiment.hpp"
#include "methods.hpp"
#include "methods_chart.hpp"
#include "methods_report.hpp"
#include "problem.hpp"

namespace sentiment {
namespace {

void run(const bert::Options& options, const MethodOptions& wanted) {
  bert::require_model(options.model);
  const auto tokenizer = lora::text::load_bert_tokenizer(options.model);
  const auto problem = make_problem(options.data, tokenizer, options.max_length);
  const auto comparison = run_methods(options, wanted, problem, tokenizer, std::cerr,
                                      examples::error_output_is_terminal());
  std::cout << '\n';
  print_trials(comparison, std::cout);
  print_methods(comparison.results, std::cout);
  if (wanted.plot.empty()) return;
  std::ofstream file(wanted.plot, std::ios::binary);
  file << methods_chart(
              comparison.results,
              lora::message(options.epochs, " epochs, ", wanted.seeds,
                            wanted.seeds == 1 ? " seed" : " seeds", ", ", problem.train.size(),
                            " sentences to train, ", problem.test.size(), " to test"))
              .svg();
  if (!file.flush()) throw lora::FileError(wanted.plot + ": cannot be written");
}

}  // namespace
}  // namespace sentiment

int main(int argc, char** argv) {
  CLI::App app{"Compares ways of adapting BERT to the sentiment of sentences"};
  app.footer(std::string("Weights. ") + bert::how_to_get_a_model + "\n\nData. " +
             sentiment::how_to_get_the_data);
  bert::Options options;
  options.out = "sentiment-methods";
  options.epochs = 3;
  sentiment::MethodOptions wanted;
  bert::add_options(app, options, "the labelled sentences: see below");
  sentiment::add_method_options(app, wanted);
  CLI11_PARSE(app, argc, argv);
  return examples::run_program("compare_methods", options.threads, [&] {
    sentiment::run(options, wanted);
    return true;
  });
}
