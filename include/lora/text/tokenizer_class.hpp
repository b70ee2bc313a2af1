#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "lora/core/error.hpp"
#include "lora/core/printable.hpp"

namespace lora::text {

/// The source from which transformers (5.24) makes a tokenizer, by the class that a folder names.
enum class TokenizerSource {
  settings,        ///< BertTokenizer: the vocabulary, and the settings of tokenizer_config.json
  tokenizer_json,  ///< PreTrainedTokenizerFast: tokenizer.json as it stands
  json_if_there,   ///< ConvBertTokenizer, or no class: tokenizer.json, else as BertTokenizer
};

/// Returns the source for a tokenizer of this class; an empty name stands for no class. Throws
/// ConfigError for a class that cuts text in another way, or may do so.
[[nodiscard]] inline TokenizerSource tokenizer_source(std::string_view tokenizer_class) {
  constexpr std::string_view fast = "Fast";
  std::string_view name = tokenizer_class;
  if (name == "PreTrainedTokenizerFast" || name == "TokenizersBackend")
    return TokenizerSource::tokenizer_json;
  if (name.ends_with(fast) && name != fast) name.remove_suffix(fast.size());
  if (name.empty() || name == "ConvBertTokenizer") return TokenizerSource::json_if_there;
  for (const char* known :
       {"BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer", "MobileBertTokenizer"})
    if (name == known) return TokenizerSource::settings;
  throw ConfigError(
      message("tokenizer_class is ", printable(tokenizer_class),
              ", of which only BertTokenizer, DistilBertTokenizer, ElectraTokenizer, "
              "MobileBertTokenizer, ConvBertTokenizer and PreTrainedTokenizerFast are known"));
}

/// Returns the class that transformers takes where no file names one, by the model_type of
/// config.json. It is empty for a model that is not of the BERT family.
[[nodiscard]] inline std::string default_tokenizer_class(std::string_view model_type) {
  constexpr std::array family{"bert",     "convbert",      "distilbert", "electra", "ernie",
                              "layoutlm", "megatron-bert", "mobilebert", "nezha",   "squeezebert"};
  return std::find(family.begin(), family.end(), model_type) != family.end() ? "BertTokenizer" : "";
}

}  // namespace lora::text
