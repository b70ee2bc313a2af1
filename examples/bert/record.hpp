#pragma once

#include <filesystem>
#include <fstream>
#include <lora/io.hpp>
#include <string>
#include <vector>

#include "options.hpp"
#include "texts.hpp"

namespace bert {

/// Writes down what a run read and did, so that compare_with_peft.py can do the same in Python: the
/// first adapter, texts, batches, losses.
class Record {
 public:
  /// Records into `folder`, which is made; an empty name records nothing.
  explicit Record(const std::string& folder) : folder_(folder) {
    if (active()) std::filesystem::create_directories(folder_);
  }

  [[nodiscard]] bool active() const { return !folder_.empty(); }

  /// Returns where the adapter belongs as it is before the first step.
  [[nodiscard]] std::filesystem::path first_adapter() const { return folder_ / "first"; }

  void add_settings(const Options& options, const std::string& task_type,
                    const std::vector<std::string>& classes) {
    json_["task"] = task_type;
    json_["classes"] = classes;
    json_["options"] = {{"batch", options.batch},
                        {"epochs", options.epochs},
                        {"patience", options.patience},
                        {"learning_rate", options.learning_rate},
                        {"weight_decay", options.weight_decay},
                        {"warmup", options.warmup},
                        {"max_length", options.max_length},
                        {"dropout", options.dropout},
                        {"dora", options.dora},
                        {"seed", options.seed},
                        {"threads", options.threads}};
  }

  /// Notes the texts of a part, as words, ids, labels and tags.
  void add_texts(const char* part, const Texts& texts) {
    lora::io::Json list = lora::io::Json::array();
    for (std::size_t i = 0; i < texts.size(); ++i)
      list.push_back({{"words", texts.words[i]},
                      {"ids", texts.encodings[i].ids},
                      {"labels", texts.labels[i]},
                      {"tags", texts.tags[i]}});
    json_[part] = std::move(list);
  }

  void add_step(const Batch& batch, double loss) {
    json_["batches"].push_back(batch);
    json_["losses"].push_back(loss);
  }

  void add_score(double validation) { json_["validation"].push_back(validation); }

  /// Notes the end and writes record.json. Throws lora::FileError.
  void finish(double test, double tokens_per_second, long peak_kib) {
    json_["test"] = test;
    json_["tokens_per_second"] = tokens_per_second;
    json_["peak_kib"] = peak_kib;
    const auto path = folder_ / "record.json";
    std::ofstream file(path);
    file << json_;
    if (!file.flush()) throw lora::FileError(path.string() + ": cannot be written");
  }

 private:
  std::filesystem::path folder_;
  lora::io::Json json_ = {{"batches", lora::io::Json::array()},
                          {"losses", lora::io::Json::array()},
                          {"validation", lora::io::Json::array()}};
};

}  // namespace bert
