#include <lora/peft/peft_config_text.hpp>

#include <filesystem>
#include <limits>
#include <lora/io/json.hpp>
#include <lora/peft/peft_config_parser.hpp>

#include "support/throws.hpp"
#include "support/whole_file.hpp"

using namespace lora;
using namespace lora::io;
using namespace lora::peft;
using namespace lora::test;

TEST_CASE("what PEFT wrote is written again as the same text") {
  const std::filesystem::path adapters = LORA_GOLDEN_DIR "/io/adapters";
  int compared = 0;
  for (const auto& entry : std::filesystem::directory_iterator(adapters)) {
    if (!entry.is_directory()) continue;
    const auto path = entry.path() / "adapter_config.json";
    CAPTURE(path.string());
    const std::string text = read_whole(path);
    CHECK(peft_config_text(parse_peft_config(text, path.string())) == text);
    ++compared;
  }
  CHECK(compared >= 11);
}

TEST_CASE("a new config has all of PEFT's keys, and unknown ones are kept") {
  const Json fresh = parse_json(peft_config_text({}), "text");
  CHECK(fresh.size() == 41);
  CHECK(fresh.at("peft_type") == "LORA");
  CHECK(fresh.at("inference_mode") == true);
  CHECK(fresh.at("target_modules").is_null());
  CHECK(fresh.at("peft_version") == "0.21.2");

  const std::string text = R"({"peft_type": "LORA", "future": {"b": 1, "a": null}, "r": 2,
      "fan_in_fan_out": true, "lora_alpha": 2.5, "inference_mode": false, "exclude_modules": "é?",
      "rank_pattern": {"z": 3, "^a": 4}, "layers_to_transform": 4, "runtime_config": {"x": 1}})";
  PeftConfig config = parse_peft_config(text, "f");
  config.base_model_name_or_path = "modèle";
  const std::string written = peft_config_text(config);
  CHECK(written.find("mod\\u00e8le") != std::string::npos);
  CHECK(written.find("\\u00e9?") != std::string::npos);
  const Json keys = parse_json(written, "text");
  CHECK(keys.size() == 42);
  CHECK(keys.at("future") == parse_json(R"({"a": null, "b": 1})", "expected"));
  CHECK(keys.at("fan_in_fan_out") == true);
  CHECK(keys.at("inference_mode") == true);
  CHECK(keys.at("lora_alpha") == 2.5);
  CHECK(keys.at("layers_to_transform") == std::vector<int>{4});
  CHECK(!keys.contains("runtime_config"));
  CHECK(peft_config_text(parse_peft_config(written, "text")) == written);

  config.task_type = "\xff";
  check_throws<FileError>([&] { static_cast<void>(peft_config_text(config)); }, "not UTF-8");
}

TEST_CASE("rows that train are written as a list, or as one of each module") {
  PeftConfig config;
  config.trainable_token_indices = {{"", {7, 0}}};
  CHECK(parse_json(peft_config_text(config), "text").at("trainable_token_indices") ==
        std::vector<int>{7, 0});
  config.trainable_token_indices = {{"wte", {3}}, {"lm_head", {2, 1}}};
  const std::string text = peft_config_text(config);
  CHECK(text.find("\"trainable_token_indices\": {\n    \"lm_head\": [\n      2,\n      1\n    ],"
                  "\n    \"wte\": [\n      3\n    ]\n  },") != std::string::npos);
  CHECK(parse_peft_config(text, "text").trainable_token_indices == config.trainable_token_indices);
  config.trainable_token_indices[""] = {4};
  check_throws<FileError>([&] { static_cast<void>(peft_config_text(config)); },
                          "trainable_token_indices has some without a module's name");
}

TEST_CASE("a key that is not known is written as it came, NaN and Infinity too") {
  const PeftConfig config = parse_peft_config(
      R"({"peft_type": "LORA", "note": NaN, "more": {"b": [-Infinity, 1.5, "NaN"], "a": Infinity},
          "none": [], "text": "é"})",
      "f");
  CHECK(config.other.at("note") == "NaN");
  CHECK(config.other.at("text") == "\"\\u00e9\"");
  const std::string text = peft_config_text(config);
  CHECK(text.find(R"(
  "more": {
    "a": Infinity,
    "b": [
      -Infinity,
      1.5,
      "NaN"
    ]
  },)") != std::string::npos);
  CHECK(text.find("\"note\": NaN,") != std::string::npos);
  CHECK(parse_peft_config(text, "again").other.at("more") == config.other.at("more"));
  CHECK(peft_config_text(parse_peft_config(text, "again")) == text);
}

TEST_CASE("numbers that PEFT could not compute with are refused by name") {
  const auto refused = [](const auto& change, const std::string& part) {
    PeftConfig config;
    change(config);
    check_throws<FileError>([&] { static_cast<void>(peft_config_text(config)); }, part);
  };
  for (const double bad :
       {std::numeric_limits<double>::quiet_NaN(), -std::numeric_limits<double>::infinity()}) {
    refused([&](PeftConfig& c) { c.lora_alpha = bad; }, "adapter_config.json: lora_alpha is ");
    refused([&](PeftConfig& c) { c.lora_dropout = bad; }, "lora_dropout is ");
    refused([&](PeftConfig& c) { c.alpha_pattern.add("q", bad); }, "alpha_pattern \"q\" is ");
  }
}

TEST_CASE("alphas keep their last bit") {
  for (const double alpha : {0.1, 1.0 / 3, 1e-300, 1e38, 0x1p53, -0x1.fffffffffffffp52, 16.0}) {
    PeftConfig config;
    config.lora_alpha = alpha;
    CHECK(parse_peft_config(peft_config_text(config), "f").lora_alpha == alpha);
  }
}

TEST_CASE("layers_pattern without layers is written so that it can be read again") {
  const auto config = parse_peft_config(R"({"peft_type": "LORA", "target_modules": ["q"],
    "layers_to_transform": [], "layers_pattern": ["h"]})",
                                        "f");
  const std::string text = peft_config_text(config);
  CHECK(parse_json(text, "text").at("layers_to_transform") == Json::array());
  CHECK(peft_config_text(parse_peft_config(text, "again")) == text);
}
