#include <lora/models/bert/bert_outline.hpp>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "models/bert/golden_bert.hpp"
#include "support/catch.hpp"
#include "support/whole_file.hpp"

using namespace lora;
using lora::test::bert_data;

TEST_CASE("BERT's modules have transformers' names, in its order") {
  const auto golden = nlohmann::json::parse(test::read_whole(bert_data("modules.json")));
  const models::BertConfig config = models::read_bert_config(bert_data("tiny"));
  const auto check = [&](const char* key, const models::BertParts& parts) {
    std::vector<std::string> names;
    for (const auto& module : models::bert_outline(config, parts).modules)
      names.push_back(module.name);
    CHECK(names == golden[key].get<std::vector<std::string>>());
  };
  check("sequence_classification", {.prefix = "bert.", .pooler = true, .classifier = true});
  check("token_classification", {.prefix = "bert.", .pooler = false, .classifier = true});
  check("model", {});
}

TEST_CASE("BERT's outline says what repeats, what is on top and what the head is") {
  const models::ModelOutline outline =
      models::bert_outline({.num_hidden_layers = 2}, {.prefix = "bert.", .classifier = true});
  CHECK(outline.model_type == "bert");
  CHECK(outline.blocks == std::vector<std::string>{"bert.encoder.layer.0", "bert.encoder.layer.1"});
  CHECK(outline.top == "bert.pooler");
  CHECK(outline.head == "classifier");
  CHECK(models::bert_outline({}, {.pooler = false}).top.empty());
  CHECK(models::bert_outline({}, {}).head.empty());
}
