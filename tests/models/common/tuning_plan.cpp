// Plans for a model of a family that is built nowhere: what is common knows none.
#include <lora/models/common/tuning_plan.hpp>

#include <set>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::models;
using lora::test::check_throws;

namespace {

// Two blocks with a linear module and a norm, an embedding, a norm on top, and a head.
ModelOutline two_blocks() {
  using Kind = peft::ModuleKind;
  ModelOutline outline{
      .model_type = "llama", .block_norms = {"norm"}, .top = "norm", .head = "score"};
  outline.modules = {{"", Kind::no_layer}, {"embed", Kind::other_layer}};
  for (const std::string block : {"layers.0", "layers.1"}) {
    outline.blocks.push_back(block);
    outline.modules.push_back({block, Kind::no_layer});
    outline.modules.push_back({block + ".q_proj", Kind::linear});
    outline.modules.push_back({block + ".norm", Kind::no_layer});
  }
  outline.modules.push_back({"norm", Kind::no_layer});
  outline.modules.push_back({"score", Kind::linear});
  return outline;
}

using ModuleSet = std::set<std::string>;

ModuleSet with_role(ModuleRole role, const TuningPlan& plan, const ModelOutline& of) {
  ModuleSet names;
  for (const peft::ModuleName& module : of.modules)
    if (plan[module.name].role == role) names.insert(module.name);
  return names;
}

ModuleSet trained_by(const Tuning& tuning) {
  return with_role(ModuleRole::trained, TuningPlan(tuning, two_blocks()), two_blocks());
}

}  // namespace

TEST_CASE("a tuning trains the parts of a model that the outline says") {
  CHECK(trained_by(HeadOnly{}) == ModuleSet{"score"});
  CHECK(trained_by(FullTuning{}).size() == two_blocks().modules.size());
  CHECK(trained_by(LastLayers{0}) == ModuleSet{"norm", "score"});
  CHECK(trained_by(LastLayers{1}) ==
        ModuleSet{"layers.1", "layers.1.q_proj", "layers.1.norm", "norm", "score"});
  CHECK(trained_by(BottleneckAdapters{3}) == ModuleSet{"layers.0.norm", "layers.1.norm", "score"});
  CHECK(TuningPlan(BottleneckAdapters{3}, two_blocks()).bottleneck() == 3);
  CHECK(TuningPlan(HeadOnly{}, two_blocks()).bottleneck() == 0);
}

TEST_CASE("modules train alone by the ends of their paths, and the head with them") {
  CHECK(trained_by(ModulesOnly{{"norm"}}) ==
        ModuleSet{"layers.0.norm", "layers.1.norm", "norm", "score"});
  CHECK(trained_by(ModulesOnly{{"layers.1"}}) ==
        ModuleSet{"layers.1", "layers.1.q_proj", "layers.1.norm", "score"});
  check_throws<ConfigError>([] { trained_by(ModulesOnly{}); }, "ModulesOnly: names is empty");
  check_throws<ConfigError>(
      [] {
        trained_by(ModulesOnly{{"norm", "bn1"}});
      },
      "ModulesOnly: no module's path ends in \"bn1\"");
  check_throws<ConfigError>([] { trained_by(ModulesOnly{{""}}); }, "no module's path ends in");
}

TEST_CASE("targets that are left out are the defaults of the outline's model type") {
  const TuningPlan plan(peft::PeftConfig{}, two_blocks());
  CHECK(with_role(ModuleRole::adapted, plan, two_blocks()) ==
        ModuleSet{"layers.0.q_proj", "layers.1.q_proj"});
  CHECK(plan.peft_config().target_modules ==
        peft::ModuleNames(std::vector<std::string>{"q_proj", "v_proj"}));
}

TEST_CASE("all-linear leaves a task's head to SEQ_CLS, and an output embedding to every task") {
  peft::PeftConfig config;
  config.target_modules = "all-linear";
  const auto adapted = [&](const ModelOutline& of) {
    return with_role(ModuleRole::adapted, TuningPlan(config, of), of);
  };
  CHECK(adapted(two_blocks()) == ModuleSet{"layers.0.q_proj", "layers.1.q_proj", "score"});
  ModelOutline language = two_blocks();
  language.head = "";
  language.output_embedding = "score";
  CHECK(adapted(language) == ModuleSet{"layers.0.q_proj", "layers.1.q_proj"});
  config.task_type = "SEQ_CLS";
  CHECK(adapted(two_blocks()) == ModuleSet{"layers.0.q_proj", "layers.1.q_proj"});
  CHECK(with_role(ModuleRole::trained, TuningPlan(config, two_blocks()), two_blocks()) ==
        ModuleSet{"score"});
}

TEST_CASE("bias = \"all\" trains the biases of what is otherwise frozen") {
  peft::PeftConfig config;
  config.bias = "all";
  const TuningPlan plan(config, two_blocks());
  CHECK(plan["layers.0.norm"].train_bias);
  CHECK(plan["score"].train_bias);
  CHECK(!plan["of nowhere"].train_bias);
}

TEST_CASE("a tuning that does not fit the outline is refused") {
  const auto refused = [](const Tuning& tuning, const std::string& part) {
    check_throws<ConfigError>([&] { static_cast<void>(TuningPlan(tuning, two_blocks())); }, part);
  };
  refused(LastLayers{3}, "count is 3, expected 0 to 2 layers");
  refused(LastLayers{-1}, "count is -1");
  refused(BottleneckAdapters{0}, "features is 0");
  peft::PeftConfig config;
  config.target_modules = std::vector<std::string>{"norm"};
  refused(config, "\"layers.0.norm\", which cannot be adapted");
}

TEST_CASE("an embedding is adapted where it is named") {
  peft::PeftConfig config{.r = 3};
  config.target_modules = std::vector<std::string>{"embed"};
  const TuningPlan plan(config, two_blocks());
  CHECK(plan["embed"].role == ModuleRole::adapted);
  CHECK(plan["embed"].lora.rank == 3);
}

TEST_CASE("a convolution is adapted where it is named, and is none of all-linear's") {
  ModelOutline outline{.model_type = "resnet"};
  outline.modules = {{"stem", peft::ModuleKind::conv2d}, {"fc", peft::ModuleKind::linear}};
  const auto role = [&](const peft::PeftConfig& config) {
    return TuningPlan(config, outline)["stem"].role;
  };
  CHECK(role({.target_modules = std::vector<std::string>{"stem"}}) == ModuleRole::adapted);
  CHECK(role({.target_modules = std::string("all-linear")}) == ModuleRole::frozen);
}

TEST_CASE("a Conv1D is adapted, trained as a whole, but not stored so beside adapters") {
  ModelOutline outline{.model_type = "gpt2"};
  outline.modules = {{"attn", peft::ModuleKind::no_layer},
                     {"attn.c_attn", peft::ModuleKind::conv1d},
                     {"attn.c_proj", peft::ModuleKind::conv1d}};
  const TuningPlan plan(peft::PeftConfig{.r = 2}, outline);
  CHECK(plan["attn.c_attn"].role == ModuleRole::adapted);
  CHECK(plan.peft_config().other.at("fan_in_fan_out") == "true");
  CHECK(TuningPlan(FullTuning{}, outline)["attn.c_proj"].role == ModuleRole::trained);
  check_throws<ConfigError>(
      [&] { TuningPlan(peft::PeftConfig{.modules_to_save = {"c_proj"}}, outline); },
      "modules_to_save stores \"attn.c_proj\" whole, which is not built for a Conv1D");
}

TEST_CASE("what is not built for a family of models is refused by its name") {
  const auto refused = [](const peft::PeftConfig& config, const char* what) {
    check_throws<ConfigError>([&] { TuningPlan(config, two_blocks()); }, what);
  };
  refused({.layer_replication = {{0, 1}}}, "layer_replication is set, which is not built");
  refused({.alora_invocation_tokens = {1}}, "alora_invocation_tokens are set, which are not built");
}

TEST_CASE("rows train of the embedding that is named, or of the input's for a list") {
  ModelOutline outline = two_blocks();
  peft::PeftConfig config{.trainable_token_indices = {{"", {3, 1}}}};
  const auto refused = [&](const std::string& what) {
    check_throws<ConfigError>([&] { TuningPlan(config, outline); },
                              "trainable_token_indices " + what);
  };
  refused("is a list, which is of the input embedding, and a ");
  outline.input_embedding = "embed";
  outline.invokes_adapters = true;
  const TuningPlan plan(config, outline);
  CHECK(plan["embed"].trainable_tokens == std::vector<int>{3, 1});
  CHECK(plan["embed"].role == ModuleRole::frozen);
  CHECK(plan["layers.0.norm"].trainable_tokens.empty());
  config.modules_to_save = {"embed"};
  refused("has \"embed\", which is to train as a whole");
  config.modules_to_save = {};
  config.alora_invocation_tokens = {2};
  refused("and alora_invocation_tokens are set");
  config.alora_invocation_tokens = {};
  config.trainable_token_indices = {{"mbed", {3}}};
  CHECK(TuningPlan(config, outline)["embed"].trainable_tokens == std::vector<int>{3});
  config.trainable_token_indices = {{"embed", {3}}, {"mbed", {3}}};
  refused("has \"embed\" under two names");
  config.trainable_token_indices = {{"wte", {3}}};
  refused("has \"wte\", in which no module's name ends");
  config.trainable_token_indices = {{"layers.0.norm", {3}}};
  refused("has \"layers.0.norm\", expected an embedding or the head");
  config.trainable_token_indices = {{"embed", {3}}};
  config.target_modules = std::vector<std::string>{"embed"};
  refused("has \"embed\", which is adapted");
}
