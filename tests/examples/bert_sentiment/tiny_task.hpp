#pragma once

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

#include "examples/bert/options.hpp"
#include "examples/bert/tiny_model.hpp"
#include "examples/bert_sentiment/problem.hpp"
#include "support/temporary_directory.hpp"

namespace lora::test {

/// Has a tiny model, and sentences whose sentiment one of their words says.
class TinyTask {
 public:
  TinyTask() {
    write_tiny_model(folder_ / "model",
                     {"the", "food", "was", "good", "bad", "place", "very", "screen"});
    std::ofstream file(folder_ / "sentences.txt");
    const char* const things[] = {"the food", "the place", "screen", "the screen", "food"};
    for (int i = 0; i < 160; ++i)
      file << things[i % 5] << " was" << (i % 3 == 0 ? " very" : "")
           << (i % 2 == 0 ? " good" : " bad") << '\t' << (i % 2 == 0 ? 1 : 0) << '\n';
    file.close();
    options.model = (folder_ / "model").string();
    options.data = (folder_ / "sentences.txt").string();
    options.out = (folder_ / "out").string();
    options.rank = 4;
    options.learning_rate = 0.02;
    options.epochs = 6;
    options.batch = 8;
    tokenizer = text::load_bert_tokenizer(options.model);
  }

  [[nodiscard]] bert::Problem problem() const {
    return sentiment::make_problem(options.data, *tokenizer, options.max_length);
  }

  [[nodiscard]] std::filesystem::path operator/(const std::string& name) const {
    return folder_ / name;
  }

  bert::Options options;
  std::optional<text::BertTokenizer> tokenizer;

 private:
  TemporaryDirectory folder_;
};

}  // namespace lora::test
