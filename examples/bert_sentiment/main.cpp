// Adapts a BERT model to tell positive from negative sentences with LoRA.
//
// Reads a model as Hugging Face stores it and review sentences as they were published, trains
// adapters of the attention's query and value and a new classifier, keeps the best epoch's, and
// saves it as PEFT does. bert_sentiment --help lists the options; README.md has figures.

#include <CLI/CLI.hpp>

#include "../bert/program.hpp"
#include "problem.hpp"

int main(int argc, char** argv) {
  bert::Options options;
  options.out = "sentiment-adapter";
  return bert::program<bert::BertTask::sequence_classification>(
      argc, argv, "Adapts BERT to the sentiment of sentences with LoRA", "bert_sentiment",
      sentiment::how_to_get_the_data, options, sentiment::make_problem);
}
