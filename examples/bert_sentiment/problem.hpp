#pragma once

#include <cstddef>
#include <filesystem>
#include <lora/text.hpp>
#include <lora/train/split.hpp>
#include <string>
#include <vector>

#include "../bert/problem.hpp"
#include "data.hpp"

namespace sentiment {

/// Says where the data is to be had.
inline constexpr const char* how_to_get_the_data =
    "Review sentences, positive and negative: \"Sentiment Labelled Sentences\", Kotzias et al. "
    "2015,\n"
    "CC BY 4.0, UCI Machine Learning Repository, data set 331:\n"
    "  https://archive.ics.uci.edu/dataset/331/sentiment+labelled+sentences\n"
    "Unpack it; then --data FOLDER, with amazon_cells_labelled.txt, imdb_labelled.txt and\n"
    "yelp_labelled.txt, or --data FILE of lines `sentence <tab> 0 or 1`.";

/// Encodes sentences of at most `max_length` tokens.
[[nodiscard]] inline bert::Texts encode(const std::vector<LabelledSentence>& sentences,
                                        const lora::text::BertTokenizer& tokenizer,
                                        bert::Index max_length) {
  bert::Texts texts;
  for (const LabelledSentence& each : sentences)
    texts.add({each.sentence},
              tokenizer.encode(each.sentence, {.max_length = static_cast<std::size_t>(max_length)}),
              {each.label});
  return texts;
}

/// Returns the share of right answers, in percent.
[[nodiscard]] inline double accuracy(const bert::Texts& texts, const bert::Classes& answers) {
  std::size_t right = 0;
  for (std::size_t i = 0; i < texts.size(); ++i) right += answers[i] == texts.labels[i] ? 1 : 0;
  return 100 * static_cast<double>(right) / static_cast<double>(texts.size());
}

/// Reads and splits the data. Throws lora::FileError.
[[nodiscard]] inline bert::Problem make_problem(const std::filesystem::path& data,
                                                const lora::text::BertTokenizer& tokenizer,
                                                bert::Index max_length) {
  bert::require_data(data, how_to_get_the_data);
  const auto parts = lora::train::split(read_sentences(data));
  bert::Problem problem;
  problem.name = "bert_sentiment";
  problem.task_type = "SEQ_CLS";
  problem.score_name = "accuracy";
  problem.source = "split by a fixed shuffle";
  problem.classes = {"negative", "positive"};
  problem.train = encode(parts.train, tokenizer, max_length);
  problem.validation = encode(parts.validation, tokenizer, max_length);
  problem.test = encode(parts.test, tokenizer, max_length);
  problem.score = accuracy;
  return problem;
}

}  // namespace sentiment
