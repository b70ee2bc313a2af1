#include <lora/peft/adapter_description.hpp>

#include <lora/layers/lora_linear.hpp>
#include <lora/peft/peft_config_parser.hpp>
#include <lora/peft/peft_config_text.hpp>

#include "support/throws.hpp"

using namespace lora;
using namespace lora::io;
using namespace lora::peft;
using namespace lora::test;

namespace {

using Layer = LoRALinear<float>;

Layer layer(const std::string& name, const LoRAConfig& config, bool bias = false) {
  Layer made(DenseWeight<float>(Matrix<float>::Zero(4, 3)), config, 1,
             bias ? Vector<float>(Vector<float>::Ones(4)) : Vector<float>());
  made.set_name(name);
  return made;
}

}  // namespace

TEST_CASE("layers that agree need no patterns") {
  Layer a = layer("x.q", {.rank = 2, .alpha = 6, .dropout = 0.1, .use_rslora = true});
  Layer b = layer("x.v", a.config());
  const PeftConfig config = describe_adapters<float>({a, b});
  CHECK(config.r == 2);
  CHECK(config.lora_alpha == 6);
  CHECK(config.use_rslora);
  CHECK(config.lora_dropout == 0.1);
  CHECK(config.rank_pattern.empty());
  CHECK(config.alpha_pattern.empty());
  CHECK(config.bias == "none");
  CHECK(std::get<std::string>(config.target_modules) == "x\\.q|x\\.v");
}

TEST_CASE("layers that differ are patterns that hit them alone") {
  Layer a = layer("q", {.rank = 2}), b = layer("x.q", {.rank = 3}), c = layer("xaq", {.rank = 2}),
        d = layer("x.x.q", {.rank = 2, .alpha = 7});
  const PeftConfig config = describe_adapters<float>({a, b, c, d});
  CHECK(config.r == 2);
  CHECK(config.lora_alpha == 4);
  REQUIRE(config.rank_pattern.entries().size() == 1);
  CHECK(config.rank_pattern.entries()[0].pattern == "^x\\.q");
  for (const Layer* one : {&a, &b, &c, &d}) {
    const LoRAConfig read = config.layer_config(one->name());
    CHECK(read.rank == one->rank());
    CHECK(read.alpha == one->config().alpha_or_default());
    CHECK(is_targeted(config, one->name()));
  }
}

TEST_CASE("settings that are true of the layers are kept") {
  Layer a = layer("m.0.q", {.rank = 4, .alpha = 5}), b = layer("m.1.q", {.rank = 2, .alpha = 5});
  PeftConfig start;
  start.r = 2;
  start.lora_alpha = 5;
  start.rank_pattern.add("m.0.q", 4);
  start.target_modules = "m.*q";
  start.task_type = "SEQ_CLS";
  start.other["revision"] = "\"main\"";
  PeftConfig kept = describe_adapters<float>({a, b}, {}, start);
  CHECK(kept.rank_pattern.entries()[0].pattern == "m.0.q");
  CHECK(std::get<std::string>(kept.target_modules) == "m.*q");
  CHECK(kept.task_type == "SEQ_CLS");
  CHECK(kept.other.at("revision") == "\"main\"");
  CHECK(kept.lora_alpha == 5);

  // A file sorts patterns: "^m..." would come before "m.0.q" and win.
  start.rank_pattern.add("^m.*", 9);
  kept = describe_adapters<float>({a, b}, {}, start);
  CHECK(kept.layer_config("m.0.q").rank == 4);
  CHECK(kept.layer_config("m.1.q").rank == 2);

  start.target_modules = std::vector<std::string>{"k"};
  start.exclude_modules = "m.0.q";
  kept = describe_adapters<float>({a, b}, {}, start);
  CHECK(is_targeted(kept, "m.0.q"));
  CHECK(is_targeted(kept, "m.1.q"));
}

TEST_CASE("biases that train and parameters beside the layers are declared") {
  Layer a = layer("q", {.train_bias = true}, true), b = layer("v", {});
  CHECK(describe_adapters<float>({a, b}).bias == "lora_only");
  PeftConfig start;
  start.bias = "all";
  CHECK(describe_adapters<float>({b}, {}, start).bias == "all");
  start.bias = "lora_only";
  CHECK(describe_adapters<float>({b}, {}, start).bias == "none");

  Parameter<float> weight("head.out.weight", Matrix<float>::Zero(2, 2)),
      bias("head.out.bias", Matrix<float>::Zero(1, 2)), plain("w", Matrix<float>::Zero(1, 1));
  const std::vector<Parameter<float>*> head{&weight, &bias};
  CHECK(describe_adapters<float>({b}, head).modules_to_save ==
        std::vector<std::string>{"head.out"});
  start.modules_to_save = {"head"};
  CHECK(describe_adapters<float>({b}, head, start).modules_to_save ==
        std::vector<std::string>{"head"});
  // PEFT compares ends of names as text, and takes no entry for a pattern here.
  start.modules_to_save = {"ead"};
  CHECK(describe_adapters<float>({b}, head, start).modules_to_save ==
        std::vector<std::string>{"ead"});
  start.modules_to_save = {"he.d"};
  CHECK(describe_adapters<float>({b}, head, start).modules_to_save ==
        std::vector<std::string>{"he.d", "head.out"});
  check_throws<ConfigError>(
      [&] {
        static_cast<void>(describe_adapters<float>({b}, std::vector<Parameter<float>*>{&plain}));
      },
      "the parameter \"w\" is of no module");
}

TEST_CASE("rows that train are saved where the settings say which they are") {
  Layer b = layer("v", {});
  Parameter<float> rows("wte.token_adapter.trainable_tokens_delta", Matrix<float>::Zero(2, 3));
  const std::vector<Parameter<float>*> parameters{&rows};
  PeftConfig start;
  const auto refused = [&](const ParameterList<float>& list, const std::string& what) {
    check_throws<ConfigError>(
        [&] { static_cast<void>(describe_adapters<float>({b}, list, start)); }, what);
  };
  refused(parameters, "trainable_token_indices does not say which rows it has");
  for (const char* module : {"", "te"}) {
    start.trainable_token_indices = {{module, {4, 1}}};
    const PeftConfig config = describe_adapters<float>({b}, parameters, start);
    CHECK(config.trainable_token_indices == start.trainable_token_indices);
    CHECK(config.modules_to_save.empty());
    refused({}, "and no parameter is of them");
  }
  start.trainable_token_indices = {{"", {4}}};
  refused(parameters, "has 2 rows, and trainable_token_indices 1");
}

TEST_CASE("layers that one file cannot hold are refused") {
  const auto refused = [](std::vector<AdaptedLayerRef<float>> slots, const std::string& why,
                          const PeftConfig& start = {}) {
    check_throws<ConfigError>([&] { static_cast<void>(describe_adapters(slots, {}, start)); }, why);
  };
  Layer a = layer("q", {}), same = layer("q", {}), unnamed = layer("", {}),
        rslora = layer("v", {.use_rslora = true}), dropout = layer("w", {.dropout = 0.5});
  refused({}, "there is no layer");
  refused({a, same}, "two layers are called \"q\": give each its own name with set_name");
  refused({unnamed}, "has no name");
  refused({a, rslora}, "\"v\" differs from \"q\" in use_rslora, use_dora, lora_bias or dropout");
  refused({a, dropout}, "\"w\" differs from \"q\"");
  PeftConfig start;
  start.modules_to_save = {"q"};
  refused({a}, "\"q\" is adapted, but PEFT would take it for one of modules_to_save", start);
}

TEST_CASE("what is written selects what was saved, and nothing else of the model") {
  Layer fc = layer("fc", {}), deep = layer("a.b+c", {});
  const std::vector<ModuleName> model{{"fc"}, {"block.fc"}, {"a.b+c"}, {"a.bbc"}, {"x.a.b+c"}};
  const auto selected = [&](const PeftConfig& config) {
    std::vector<std::string> names;
    for (const ModuleName& module : model)
      if (is_targeted(config, module.name)) names.push_back(module.name);
    return names;
  };
  const std::vector<std::string> saved{"fc", "a.b+c"};
  const std::vector<AdaptedLayerRef<float>> layers{fc, deep};
  CHECK(selected(describe_adapters(layers)) == saved);
  CHECK(selected(describe_adapters(layers, {}, {}, model)) == saved);
  // What is already said is not kept where it says more, nor what goes with a list only.
  PeftConfig start;
  start.target_modules = std::vector<std::string>{"fc", "a.b+c"};
  start.layers_to_transform = {1};
  start.layers_pattern = {"h"};
  const PeftConfig config = describe_adapters(layers, {}, start, model);
  CHECK(selected(config) == saved);
  CHECK(parse_peft_config(peft_config_text(config), "f").target_modules == config.target_modules);

  // Where all modules are known and none is in the way, it is a list.
  const std::vector<ModuleName> plain{{"fc"}, {"a.b+c"}, {"head"}};
  CHECK(std::get<std::vector<std::string>>(
            describe_adapters(layers, {}, {}, plain).target_modules) == saved);
}

TEST_CASE("what is stored whole is refused where PEFT would store more") {
  Layer adapted = layer("q", {}), head = layer("pre_head", {});
  Parameter<float> weight("head.weight", Matrix<float>::Zero(2, 2));
  const std::vector<Parameter<float>*> whole{&weight};
  check_throws<ConfigError>(
      [&] {
        static_cast<void>(describe_adapters<float>({adapted, head}, whole));
      },
      "\"pre_head\" is adapted, but PEFT would take it for one of modules_to_save");
  const std::vector<ModuleName> model{{"q"}, {"head"}, {"block.head"}};
  check_throws<ConfigError>(
      [&] { static_cast<void>(describe_adapters<float>({adapted}, whole, {}, model)); },
      "\"head\" is stored whole, and PEFT would take \"block.head\", which is not, for the same");
  CHECK_NOTHROW(describe_adapters<float>({adapted}, whole, {}, {{"q"}, {"head"}}));
}

TEST_CASE("a pattern of a thousand long names is read again, and more are a list") {
  std::vector<Layer> layers;
  for (int i = 0; i < 1500; ++i)
    layers.push_back(layer(message("model.language_model.layers.", i, ".self_attn.q_proj"), {}));
  const std::vector<AdaptedLayerRef<float>> some(layers.begin(), layers.begin() + 1000);
  const PeftConfig config = describe_adapters(some);
  CHECK(std::holds_alternative<std::string>(config.target_modules));
  CHECK(is_targeted(parse_peft_config(peft_config_text(config), "f"), some.back().name()));
  const std::vector<AdaptedLayerRef<float>> all(layers.begin(), layers.end());
  const PeftConfig many = describe_adapters(all);
  CHECK(is_targeted(parse_peft_config(peft_config_text(many), "f"), all.back().name()));
}
