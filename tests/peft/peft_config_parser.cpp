#include <lora/peft/peft_config_parser.hpp>

#include "support/throws.hpp"

using namespace lora;
using namespace lora::io;
using namespace lora::peft;
using namespace lora::test;

namespace {

PeftConfig parse(const std::string& keys) {
  return parse_peft_config(R"({"peft_type": "LORA")" + (keys.empty() ? "" : ", " + keys) + "}",
                           "a/adapter_config.json");
}

void refused(const std::string& keys, const std::string& why) {
  CAPTURE(keys);
  check_throws<FileError>([&] { static_cast<void>(parse(keys)); }, "a/adapter_config.json: ");
  check_throws<FileError>([&] { static_cast<void>(parse(keys)); }, why);
}

// The same element some times, as a list has them.
std::string repeated(const std::string& element, int times) {
  std::string list = element;
  while (--times > 0) list += ", " + element;
  return list;
}

}  // namespace

TEST_CASE("every setting that is honoured is read") {
  const PeftConfig config = parse(R"(
    "r": 3, "lora_alpha": 7.5, "use_rslora": true, "lora_dropout": 0.25, "bias": "lora_only",
    "init_lora_weights": "gaussian", "target_modules": ["q", "v"], "exclude_modules": "x.*",
    "layers_to_transform": [1, 2], "layers_pattern": "layer", "modules_to_save": ["head"],
    "task_type": "SEQ_CLS", "base_model_name_or_path": "base", "peft_version": "0.9",
    "rank_pattern": {"z": 1, "a": 2}, "alpha_pattern": {"z": 1.5}, "fan_in_fan_out": true,
    "inference_mode": true, "runtime_config": {}, "future": {"deep": [1]}, "revision": "main")");
  CHECK(config.r == 3);
  CHECK(config.lora_alpha == 7.5);
  CHECK(config.use_rslora);
  CHECK(config.lora_dropout == 0.25);
  CHECK(config.bias == "lora_only");
  CHECK(config.init_lora_weights == InitLoraWeights("gaussian"));
  CHECK(std::get<std::vector<std::string>>(config.target_modules) ==
        std::vector<std::string>{"q", "v"});
  CHECK(std::get<std::string>(config.exclude_modules) == "x.*");
  CHECK(config.layers_to_transform == std::vector<Index>{1, 2});
  CHECK(config.layers_pattern == std::vector<std::string>{"layer"});
  CHECK(config.modules_to_save == std::vector<std::string>{"head"});
  CHECK(config.task_type == "SEQ_CLS");
  CHECK(config.base_model_name_or_path == "base");
  CHECK(config.peft_version == "0.9");
  REQUIRE(config.rank_pattern.entries().size() == 2);
  CHECK(config.rank_pattern.entries()[0].pattern == "z");  // the order of the file
  CHECK(config.rank_pattern.entries()[1].value == 2);
  CHECK(config.alpha_pattern.entries()[0].value == 1.5);
  CHECK(config.other ==
        std::map<std::string, std::string>{{"fan_in_fan_out", "true"},
                                           {"future", "{\n  \"deep\": [\n    1\n  ]\n}"},
                                           {"revision", "\"main\""}});
}

TEST_CASE("keys that are absent have PEFT's defaults, and null is nothing") {
  for (const char* keys :
       {"", R"("target_modules": null, "exclude_modules": null, "layers_to_transform": null,
             "layers_pattern": null, "modules_to_save": null, "task_type": null,
             "rank_pattern": {}, "alpha_pattern": null, "base_model_name_or_path": null,
             "use_dora": false, "use_bdlora": null, "target_parameters": [],
             "trainable_token_indices": null, "layer_replication": null)",
        R"("exclude_modules": [], "modules_to_save": [], "layers_pattern": [], "rank_pattern": null,
             "alora_invocation_tokens": [], "layer_replication": [], "use_rslora": null,
             "use_dora": null, "use_qalora": null, "lora_bias": null, "target_parameters": null)"}) {
    const PeftConfig config = parse(keys);
    CHECK(config.r == 8);
    CHECK(config.lora_alpha == 8);
    CHECK(config.bias == "none");
    CHECK(config.init_lora_weights == InitLoraWeights(true));
    CHECK(std::holds_alternative<std::monostate>(config.target_modules));
    CHECK(config.layers_to_transform.empty());
    CHECK(config.modules_to_save.empty());
    CHECK(config.task_type.empty());
  }
  CHECK(parse(R"("layers_to_transform": 3)").layers_to_transform == std::vector<Index>{3});
  CHECK(parse(R"("layers_to_transform": [], "layers_pattern": ["h"])").layers_to_transform.empty());
  CHECK(parse(R"("r": 1000000)").r == 1'000'000);
  CHECK(parse(R"("lora_alpha": -2)").lora_alpha == -2);
  for (const char* word :
       {"true", "false", "\"eva\"", "\"orthogonal\"", "\"mica\"", "\"pissa\"", "\"olora\""})
    CHECK_NOTHROW(parse(message("\"init_lora_weights\": ", word)));
}

TEST_CASE("what Python reads without a word is read as Python does") {
  CHECK(parse(R"("init_lora_weights": null)").init_lora_weights == InitLoraWeights());
  CHECK(parse(R"("r": 8, "r": 9)").r == 9);
  CHECK(parse(R"("note": NaN, "more": [-Infinity])").other.size() == 2);
  // A key that comes again keeps its place; a whole object that does, nothing of the first.
  const PeftConfig config = parse(R"("rank_pattern": {"x": 7}, "alpha_pattern": {"y": 1},
    "other": {"q": {"z": 1}}, "rank_pattern": {"b": 1, "a": 2, "b": 3})");
  REQUIRE(config.rank_pattern.entries().size() == 2);
  CHECK(config.rank_pattern.entries()[0].pattern == "b");
  CHECK(config.rank_pattern.entries()[0].value == 3);
  CHECK(config.rank_pattern.entries()[1].pattern == "a");
  REQUIRE(config.alpha_pattern.entries().size() == 1);
}

TEST_CASE("a byte order mark is refused, as PEFT does") {
  check_throws<FileError>(
      [] { static_cast<void>(parse_peft_config("\xEF\xBB\xBF{\"peft_type\": \"LORA\"}", "f")); },
      "f: begins with a byte order mark");
}

TEST_CASE("a key that nobody reads may be as large as the file") {
  // Half a minute each, were the neighbours of each element looked at again; see io/json.
  std::string list = "{}";
  for (int i = 1; i < 1'000'000; ++i) list += ",{}";
  CHECK(parse("\"note\": [" + list + "]").other.at("note").size() > 2'000'000);
  std::string patterns = "\"p0\": 1";
  for (int i = 1; i < 20'000; ++i) patterns += message(", \"p", i, "\": ", i);
  CHECK(parse("\"rank_pattern\": {" + patterns + "}").rank_pattern.entries().size() == 20'000);
}

TEST_CASE("another method, or none, is refused") {
  const auto read = [](const std::string& text) {
    return [text] { static_cast<void>(parse_peft_config(text, "f")); };
  };
  check_throws<FileError>(read("{}"), "f: has no peft_type");
  check_throws<FileError>(read(R"({"peft_type": "VERA"})"), "peft_type is \"VERA\"");
  check_throws<FileError>(read(R"({"peft_type": 3})"), "peft_type is 3");
  check_throws<FileError>(read("[]"), "is not a JSON object");
  check_throws<FileError>(read("nonsense"), "not valid JSON");
  check_throws<FileError>(read(std::string(8'000'001, ' ')), "expected at most 8000000");
}

TEST_CASE("values that cannot be are refused by the name of their key") {
  for (const char* bad : {"0", "-1", "1.5", "\"8\"", "true", "null", "1000001", "1e3",
                          "18446744073709551615", "99999999999999999999"})
    refused(message("\"r\": ", bad), "r is ");
  for (const char* bad : {"\"8\"", "null", "true", "[1]"})
    refused(message("\"lora_alpha\": ", bad), "lora_alpha is ");
  for (const char* bad : {"1", "-0.1", "1.5"})
    refused(message("\"lora_dropout\": ", bad), "lora_dropout is ");
  for (const char* bad : {"1e39", "-1e300"})
    refused(message("\"lora_alpha\": ", bad), "expected a finite number of float's range");
  refused(R"("lora_dropout": "0")", "lora_dropout is \"0\", expected a finite number");
  refused(R"("use_rslora": 1)", "use_rslora is 1, expected true or false");
  refused(R"("bias": "some_only")", "bias is \"some_only\", expected one of \"none\"");
  refused(R"("bias": null)", "bias is null");
  refused(R"("task_type": "PLAY")", "task_type is \"PLAY\"");
  refused(R"("target_modules": 3)", "target_modules is 3, expected a list of strings or null");
  refused(R"("target_modules": ["q", 1])", "target_modules is ");
  refused(R"("target_modules": "(?i)q")", "target_modules: the pattern \"(?i)q\" has (?i");
  refused(R"("exclude_modules": {})", "exclude_modules is {}");
  refused(R"("modules_to_save": "head")", "modules_to_save is \"head\"");
  refused(R"("modules_to_save": [)" + repeated(R"("(.*){3000}")", 50) + "]",
          "modules_to_save: the patterns are too many");
  refused(R"("layers_to_transform": 1, "layers_pattern": [)" + repeated(R"("h{9000}")", 50) + "]",
          "layers_pattern: the patterns are too many");
  refused(R"("modules_to_save": ["("])", "modules_to_save: the pattern");
  refused(R"("rank_pattern": [])", "rank_pattern is []");
  refused(R"("rank_pattern": {"q": 0})", "rank_pattern \"q\" is 0, expected an integer from 1");
  refused(R"("rank_pattern": {"q": 2.0})", "rank_pattern \"q\" is 2.0");
  refused(R"("rank_pattern": {"(": 2})", "rank_pattern: the pattern \"(\"");
  refused(R"("alpha_pattern": {"q": "2"})", "alpha_pattern \"q\" is \"2\"");
  refused(R"("layers_to_transform": ["1"])", "layers_to_transform is [\"1\"]");
  refused(R"("layers_to_transform": 18446744073709551615)", "layers_to_transform is 18446744");
  refused(R"("layers_to_transform": 1.0)", "layers_to_transform is 1.0");
  refused(R"("layers_pattern": "h")", "layers_pattern is set without layers_to_transform");
  refused(R"("layers_to_transform": 1, "layers_pattern": "(")", "layers_pattern: the pattern");
  refused(R"("layers_to_transform": 1, "layers_pattern": "a|b")", "layers_pattern \"a|b\" has a |");
  refused(R"("target_modules": "q", "layers_to_transform": 1)", "a list of target_modules only");
  refused(R"("lora_alpha": NaN)", "lora_alpha is nan, expected a finite number");
  refused(R"("r": NaN)", "r is nan");
  refused(R"("lora_dropout": -Infinity)", "lora_dropout is -inf");
  refused(R"("rank_pattern": {"a\n\u001b": 0})", R"(rank_pattern "a\n\x1b" is 0)");
  refused(R"("base_model_name_or_path": 3)", "base_model_name_or_path is 3");
}

TEST_CASE("options that are not built here are refused by name") {
  for (const char* base_changed : {"pissa_niter_4", "corda", "loftq", "lora_ga"})
    refused(message("\"init_lora_weights\": \"", base_changed, "\""),
            message("init_lora_weights is \"", base_changed,
                    "\", expected one whose base can be made again"));
  refused(R"("init_lora_weights": "unknown")", "init_lora_weights is \"unknown\"");
  refused(R"("init_lora_weights": 3)", "init_lora_weights is 3");
  CHECK(parse(R"("use_dora": true)").layer_config("fc").use_dora);
  refused(R"("use_dora": 1)", "use_dora is 1, expected true or false");
  refused(R"("use_qalora": true)", "use_qalora is true");
  CHECK(parse(R"("lora_bias": true)").layer_config("fc").lora_bias);
  CHECK(parse(R"("lora_bias": true, "init_lora_weights": false)").lora_bias);
  refused(R"("lora_bias": 1)", "lora_bias is 1, expected true or false");
  refused(R"("lora_bias": true, "use_dora": true)", "lora_bias and use_dora are true");
  for (const char* init : {"\"gaussian\"", "\"pissa\"", "null"})
    refused(message("\"lora_bias\": true, \"init_lora_weights\": ", init),
            "lora_bias is true, which goes with an init_lora_weights of true or false");
  for (const char* key :
       {"use_bdlora", "arrow_config", "kasa_config", "velora_config", "monteclora_config"})
    refused(message("\"", key, "\": {}"), message(key, " is {}"));
  CHECK(parse(R"("alora_invocation_tokens": [7, 0])").alora_invocation_tokens ==
        std::vector<int>{7, 0});
  for (const char* tokens : {"[-1]", "[1.5]", "[[1]]", "[2147483648]", "\"x\"", "3"})
    refused(message("\"alora_invocation_tokens\": ", tokens), "expected a list of token ids");
  refused(R"("alora_invocation_tokens": [1], "use_dora": true)",
          "alora_invocation_tokens and use_dora are set");
  CHECK(parse(R"("layer_replication": [[0, 4], [2, 5]])").layer_replication ==
        std::vector<std::pair<Index, Index>>{{0, 4}, {2, 5}});
  for (const char* ranges : {"[[0]]", "[[0, 1, 2]]", "[[2, 1]]", "[[-1, 1]]", "[1, 2]", "\"x\""})
    refused(message("\"layer_replication\": ", ranges), "expected a list of pairs [begin, end]");
  CHECK(parse(R"("target_parameters": ["q_proj.weight"])").target_parameters ==
        std::vector<std::string>{"q_proj.weight"});
  refused(R"("target_parameters": ["experts.w1"])", "target_parameters has \"experts.w1\"");
  refused(R"("target_parameters": "w1")", "target_parameters is \"w1\"");
}

TEST_CASE("rows that train are a list of the input embedding, or one of each module") {
  using Tokens = std::map<std::string, std::vector<int>>;
  const auto tokens = [](const std::string& value) {
    return parse("\"trainable_token_indices\": " + value).trainable_token_indices;
  };
  CHECK(tokens("[7, 0]") == Tokens{{"", {7, 0}}});
  CHECK(tokens(R"({"wte": [1], "lm_head": [3, 2]})") == Tokens{{"lm_head", {3, 2}}, {"wte", {1}}});
  for (const char* none : {"null", "[]", "{}", "false"}) CHECK(tokens(none).empty());
  for (const char* other : {"[-1]", "[1.5]", "[2147483648]", "\"x\"", "3", "true"})
    refused(message("\"trainable_token_indices\": ", other),
            message("trainable_token_indices is ", other, ", expected a list of token ids"));
  refused(R"("trainable_token_indices": {"wte": 3})", "of \"wte\" is 3, expected a list");
  refused(R"("trainable_token_indices": {"wte": []})",
          "expected at least one token of each module");
  refused(R"("trainable_token_indices": {"": [1]})", "expected names of modules");
}

TEST_CASE("the settings of AdaLoRA become those of the plain adapters") {
  const auto adalora = [](const std::string& settings) {
    return parse_peft_config("{\"peft_type\": \"ADALORA\"" + settings + "}", "f");
  };
  const PeftConfig config = adalora(
      R"(, "init_r": 4, "lora_alpha": 16, "lora_dropout": 0.1, "r": 8, "deltaT": 5, "beta1": 0.5,
         "rank_pattern": {"a.fc.lora_E": [true, false, true, false],
                          "b.fc.lora_E.default": [false, false, false, false],
                          "c.fc.lora_E": [true, true, true, true]})");
  REQUIRE(config.adalora);
  CHECK(*config.adalora ==
        AdaLoRAConfig{.init_r = 4, .delta_t = 5, .beta1 = 0.5, .alpha = 16, .dropout = 0.1});
  const std::pair<const char*, Index> ranks[] = {{"a.fc", 2}, {"b.fc", 1}, {"c.fc", 4}, {"d", 4}};
  for (const auto& [name, rank] : ranks) {
    CAPTURE(name);
    CHECK(config.layer_config(name).rank == rank);
    CHECK(std::abs(config.layer_config(name).scaling() - 16 / 4.00001) < 1e-14);
  }
  CHECK(config.other.empty());
  CHECK(adalora("").r == 12);

  const auto refused = [&](const std::string& settings, const char* part) {
    check_throws<FileError>([&] { static_cast<void>(adalora(", " + settings)); }, part);
  };
  refused(R"("lora_alpha": 0)", "lora_alpha is 0, expected a positive number");
  refused(R"("init_r": 0)", "init_r is 0");
  refused(R"("total_step": -1)", "total_step is -1, expected a number of steps");
  refused(R"("use_rslora": true)", "use_rslora is set, which AdaLoRA does not have");
  refused(R"("use_dora": true)", "use_dora is set, which AdaLoRA does not have");
  refused(R"("lora_bias": true)", "lora_bias is set, which AdaLoRA does not have");
  refused(R"("alora_invocation_tokens": [3])", "alora_invocation_tokens is set");
  refused(R"("trainable_token_indices": [1])",
          "trainable_token_indices is set, which AdaLoRA does not have");
  refused(R"("alpha_pattern": {"fc": 3})", "alpha_pattern is set, which AdaLoRA does not have");
  refused(R"("init_lora_weights": "pissa")", "a start that AdaLoRA does not have");
  refused(R"("rank_pattern": {"fc": [true]})", "expected the name of a module and .lora_E");
  refused(R"("rank_pattern": {"fc.lora_E": 3})", "a list of true and false, at most init_r = 12");
  refused(R"("rank_pattern": {"fc.lora_E": [1, 0]})", "a list of true and false");
  refused(R"("init_r": 1, "rank_pattern": {"fc.lora_E": [true, true]})", "at most init_r = 1");
  refused(R"("rank_pattern": [1])", "an object of lists of true and false");
  // A plain adapter's masks are no ranks.
  check_throws<FileError>(
      [] {
        static_cast<void>(parse_peft_config(
            R"({"peft_type": "LORA", "rank_pattern": {"fc.lora_E": [true]}})", "f"));
      },
      "expected an integer");
}
