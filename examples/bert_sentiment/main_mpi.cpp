// bert_sentiment on several ranks, with the adapter of one, bit for bit:
//
//     mpirun -n 4 bert_sentiment_mpi --model ... --data ... --shards 8
//
// Each rank maps the model's file, and computes its shards of every batch.

#include "../bert/mpi_program.hpp"
#include "problem.hpp"

int main(int argc, char** argv) {
  bert::Options options;
  options.out = "sentiment-adapter";
  return bert::mpi_program<bert::BertTask::sequence_classification>(
      argc, argv, "Adapts BERT to the sentiment of sentences with LoRA, on several machines",
      sentiment::how_to_get_the_data, options, sentiment::make_problem);
}
