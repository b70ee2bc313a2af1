#include <lora/text/tokenizer_class.hpp>

#include "support/catch.hpp"

using namespace lora;
using namespace lora::text;

TEST_CASE("a class says what its tokenizer is made of") {
  for (const char* name : {"BertTokenizer", "BertTokenizerFast", "DistilBertTokenizer",
                           "ElectraTokenizerFast", "MobileBertTokenizer"})
    CHECK(tokenizer_source(name) == TokenizerSource::settings);
  for (const char* name : {"PreTrainedTokenizerFast", "TokenizersBackend"})
    CHECK(tokenizer_source(name) == TokenizerSource::tokenizer_json);
  for (const char* name : {"", "ConvBertTokenizer", "ConvBertTokenizerFast"})
    CHECK(tokenizer_source(name) == TokenizerSource::json_if_there);
}

TEST_CASE("a class that may cut text in another way is refused") {
  for (const char* name : {"BertJapaneseTokenizer", "RobertaTokenizerFast", "Fast", "bertTokenizer",
                           "BertTokenizer ", "TapasTokenizer"})
    CHECK_THROWS_AS(tokenizer_source(name), ConfigError);
}

TEST_CASE("a model's type says the class where no file does") {
  CHECK(default_tokenizer_class("bert") == "BertTokenizer");
  CHECK(default_tokenizer_class("electra") == "BertTokenizer");
  CHECK(default_tokenizer_class("roberta") == "");
  CHECK(default_tokenizer_class("") == "");
}
