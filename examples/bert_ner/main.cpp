// Adapts a BERT model to find named entities with LoRA.
//
// Reads a model as Hugging Face stores it and tagged sentences as they were published, trains
// adapters of the attention's query and value and a new classifier of tokens, keeps the best
// epoch's, and saves it as PEFT does. bert_ner --help lists the options; README.md has figures.

#include <CLI/CLI.hpp>

#include "../bert/program.hpp"
#include "problem.hpp"

int main(int argc, char** argv) {
  bert::Options options;
  options.out = "ner-adapter";
  options.learning_rate = 2e-3;
  options.batch = 16;
  return bert::program<bert::BertTask::token_classification>(
      argc, argv, "Adapts BERT to named entities with LoRA", "bert_ner", ner::how_to_get_the_data,
      options, ner::make_problem);
}
