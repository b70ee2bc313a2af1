#pragma once

#include <algorithm>
#include <array>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "lora/io/json.hpp"
#include "lora/io/mapped_file.hpp"
#include "lora/models/bert/bert_config.hpp"

namespace lora::models {

/// The largest config.json that is read, in bytes; id2label of many classes takes the most.
inline constexpr std::size_t bert_config_limit = 8'000'000;

/// The most labels: a new head is made for them before anything else speaks for their number.
inline constexpr Index bert_label_limit = 100'000;

namespace detail {

/// Reads a config.json field by field; `where` begins every message.
class BertConfigReader {
 public:
  BertConfigReader(std::string_view text, const std::string& where)
      : where_(where), json_(parse(text, where)) {}

  BertConfig read() const {
    refuse_what_is_not_built();
    BertConfig config;
    size("vocab_size", config.vocab_size, 1, 100'000'000);
    size("hidden_size", config.hidden_size, 1, 1'000'000);
    size("num_hidden_layers", config.num_hidden_layers, 0, 1'000);
    size("num_attention_heads", config.num_attention_heads, 1, 1'000'000);
    size("intermediate_size", config.intermediate_size, 1, 10'000'000);
    size("max_position_embeddings", config.max_position_embeddings, 1, 100'000'000);
    size("type_vocab_size", config.type_vocab_size, 1, 1'000'000);
    if (config.hidden_size % config.num_attention_heads != 0)
      fail(message("hidden_size is ", config.hidden_size, ", expected a multiple of the ",
                   config.num_attention_heads, " num_attention_heads"));
    config.hidden_act = activation();
    number("hidden_dropout_prob", config.hidden_dropout_prob, is_probability, "in [0, 1)");
    number("attention_probs_dropout_prob", config.attention_probs_dropout_prob, is_probability,
           "in [0, 1)");
    if (has("classifier_dropout")) {
      double p = 0;
      number("classifier_dropout", p, is_probability, "in [0, 1)");
      config.classifier_dropout = p;
    }
    // So that float holds them too, neither zero nor infinite.
    const auto is_small = [](double value) { return value >= 1e-30 && value <= 1; };
    number("layer_norm_eps", config.layer_norm_eps, is_small, "in [1e-30, 1]");
    number("initializer_range", config.initializer_range, is_small, "in [1e-30, 1]");
    config.num_labels = labels();
    if (json_.contains("pad_token_id") && json_["pad_token_id"].is_null()) {
      config.pad_token_id.reset();
    } else {
      size("pad_token_id", *config.pad_token_id, 0, config.vocab_size - 1);
    }
    return config;
  }

 private:
  static bool is_probability(double p) { return p >= 0 && p < 1; }

  static io::Json parse(std::string_view text, const std::string& where) {
    if (text.size() > bert_config_limit)
      throw FileError(message(where, ": has ", text.size(), " bytes, more than a config.json has"));
    io::Json json = io::parse_json(text, where);
    if (!json.is_object())
      throw FileError(message(where, ": is ", io::excerpt(json), ", expected a JSON object"));
    return json;
  }

  [[noreturn]] void fail(const std::string& what) const { throw FileError(where_ + ": " + what); }

  // null stands for an absent key, as in Python.
  [[nodiscard]] bool has(const char* key) const {
    return json_.contains(key) && !json_[key].is_null();
  }

  [[noreturn]] void unexpected(const char* key, const std::string& expected) const {
    fail(message(key, " is ", io::excerpt(json_[key]), ", expected ", expected));
  }

  void size(const char* key, Index& value, Index least, Index most) const {
    if (!has(key)) return;
    const io::Json& json = json_[key];
    // A number above the signed range is an unsigned one, which is out of range as well.
    const bool fits = json.is_number_integer() &&
                      !(json.is_number_unsigned() &&
                        json.get<std::uint64_t>() > static_cast<std::uint64_t>(most)) &&
                      json.get<std::int64_t>() >= least && json.get<std::int64_t>() <= most;
    if (!fits) unexpected(key, message("an integer in [", least, ", ", most, "]"));
    value = json.get<Index>();
  }

  template <class Accept>
  void number(const char* key, double& value, const Accept& accept, const char* range) const {
    if (!has(key)) return;
    const io::Json& json = json_[key];
    if (!json.is_number() || !accept(json.get<double>()))
      unexpected(key, message("a number ", range));
    value = json.get<double>();
  }

  // Whatever would change what the encoder computes, and is not built.
  void refuse_what_is_not_built() const {
    if (has("model_type") && !io::is_text(json_["model_type"], bert_model_type))
      unexpected("model_type", "\"bert\": other families are not built");
    if (has("position_embedding_type") &&
        !io::is_text(json_["position_embedding_type"], "absolute"))
      unexpected("position_embedding_type", "\"absolute\": relative positions are not built");
    for (const char* key : {"is_decoder", "add_cross_attention", "is_encoder_decoder"})
      if (has(key) && json_[key] != false) unexpected(key, "false: decoders are not built");
    if (has("pruned_heads") &&
        !(json_["pruned_heads"].is_structured() && json_["pruned_heads"].empty()))
      unexpected("pruned_heads", "{}: pruned heads are not built");
    if (has("embedding_size") && json_["embedding_size"] != json_.value("hidden_size", io::Json()))
      unexpected("embedding_size", "hidden_size: factorised embeddings are not built");
    if (has("quantization_config"))
      unexpected("quantization_config", "none: quantised files are not built");
  }

  [[nodiscard]] Activation activation() const {
    constexpr std::array<std::pair<std::string_view, Activation>, 7> known{
        {{"gelu", Activation::gelu},
         {"gelu_python", Activation::gelu},
         {"gelu_new", Activation::gelu_tanh},
         {"gelu_pytorch_tanh", Activation::gelu_tanh},
         {"gelu_fast", Activation::gelu_tanh},
         {"relu", Activation::relu},
         {"tanh", Activation::tanh}}};
    if (!has("hidden_act")) return Activation::gelu;
    for (const auto& [name, activation] : known)
      if (io::is_text(json_["hidden_act"], name)) return activation;
    std::string expected = "one of";
    for (const auto& [name, activation] : known) expected += " " + std::string(name);
    unexpected("hidden_act", expected);
  }

  [[nodiscard]] Index labels() const {
    Index count = BertConfig{}.num_labels;
    size("num_labels", count, 1, bert_label_limit);
    if (!has("id2label")) return count;
    const io::Json& names = json_["id2label"];
    if (!names.is_object() || names.empty())
      unexpected("id2label", "an object with a name for each label");
    if (names.size() > static_cast<std::size_t>(bert_label_limit))
      unexpected("id2label", message("at most ", bert_label_limit, " labels"));
    return static_cast<Index>(names.size());
  }

  const std::string& where_;
  io::Json json_;
};

}  // namespace detail

inline BertConfig parse_bert_config(std::string_view text, const std::string& where) {
  return detail::BertConfigReader(text, where).read();
}

inline BertConfig read_bert_config(const std::filesystem::path& directory) {
  const io::MappedFile file(directory / "config.json");
  const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()),
                              file.bytes().size());
  return parse_bert_config(text, file.path().string());
}

}  // namespace lora::models
