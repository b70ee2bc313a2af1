#include <lora/models/llama/llama_model.hpp>

#include <string>
#include <vector>

#include <lora/adapters/adapter_registry.hpp>
#include <lora/frozen/half_weight.hpp>
#include <lora/frozen/mapped_weight.hpp>
#include <lora/generation/generate.hpp>
#include <lora/peft/peft_config_file.hpp>
#include <lora/peft/register_adapter.hpp>

#include "contracts/decoder.hpp"
#include "contracts/model.hpp"
#include "models/llama/golden_llama.hpp"
#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"
#include "support/whole_file.hpp"

using namespace lora;
using namespace lora::models;
using namespace lora::test;

namespace {

const std::vector<std::string> llama_cases{
    "llama",    "biases",     "head_dim", "linear", "dynamic",     "llama3",    "yarn",
    "tied",     "mistral",    "qwen2",    "qwen3",  "saved_head",  "bfloat16",  "float16",
    "embedded", "replicated", "alora",    "tokens", "head_tokens", "parameters"};

template <class T = float, class Frozen = PackedWeight<T>>
LlamaModel<T, Frozen> adapted_llama(const std::string& name, bool recompute = false) {
  const auto folder = llama_data(name) / "adapter";
  LlamaModel<T, Frozen> model(llama_data(name), {.tuning = peft::read_peft_config(folder),
                                                 .recompute_activations = recompute});
  model.load_adapter(folder);
  return model;
}

}  // namespace

TEST_CASE("logits of every kind of decoder are transformers'") {
  for (const std::string& name : llama_cases) {
    CAPTURE(name);
    check_logits(LlamaModel<float>(llama_data(name)), GoldenLlama(name), "logits");
  }
}

TEST_CASE("logits, loss and gradients of adapted decoders are PEFT's") {
  for (const std::string& name : llama_cases)
    for (const bool recompute : {false, true}) {
      CAPTURE(name, recompute);
      LlamaModel<float> model = adapted_llama(name, recompute);
      check_training(model, GoldenLlama(name));
    }
}

TEST_CASE("a decoder's storage may map the files, and then nothing changes but roundings") {
  check_logits(adapted_llama<float, MappedWeight<float>>("qwen3"), GoldenLlama("qwen3"),
               "adapted_logits");
}

// The files of these models are bfloat16, and the embeddings of one are its head too.
TEST_CASE("a decoder keeps the bits of its files in half the memory") {
  for (const std::string name : {"bfloat16", "tied"}) {
    CAPTURE(name);
    using Halved = LlamaModel<float, HalfWeight<float>>;
    const GoldenLlama golden(name);
    Halved model = adapted_llama<float, HalfWeight<float>>(name);
    const double rounded = name == "bfloat16" ? 1e-4 : 0.05;
    Matrix<float> logits;
    model.logits(golden.batch, logits);
    CHECK(largest_difference(logits, golden.reader.read<float>("adapted_logits")) < rounded);
    CausalTape<float> tape;
    static_cast<void>(model.loss(golden.batch, golden.labels, tape));
    model.backward(tape);
    if (name == "bfloat16") check_golden_gradients(model, golden);

    // Token by token it is the same as at once.
    KVCache<float> cache = model.make_cache(1, 12);
    Matrix<float> next;
    for (int i = 0; i < 12; ++i) {
      model.next_logits(std::span(golden.ids).subspan(static_cast<std::size_t>(i), 1),
                        std::vector<int>{1}, cache, next);
      CHECK(largest_difference(next, logits.row(i)) < 1e-4);
    }
  }
}

TEST_CASE("a decoder's gradients agree with finite differences, of weights and embeddings too") {
  for (const std::string name : {"llama", "tied", "qwen3"}) {
    CAPTURE(name);
    LlamaModel<double> model(llama_data(name), {.tuning = FullTuning{}});
    check_slopes(model, GoldenLlama(name));
  }
  for (const std::string name : {"replicated", "alora"}) {
    CAPTURE(name);
    LlamaModel<double> model = adapted_llama<double>(name);
    check_slopes(model, GoldenLlama(name));
  }
}

TEST_CASE("tied weights train as one under full fine-tuning, and part for modules_to_save") {
  LlamaModel<float> full(llama_data("tied"), {.tuning = FullTuning{}});
  Index heads = 0, embeddings = 0;
  for (const Parameter<float>* parameter : full.parameters()) {
    if (parameter->name == "lm_head.weight") ++heads;
    if (parameter->name == "model.embed_tokens.weight") ++embeddings;
  }
  CHECK(heads == 0);
  CHECK(embeddings == 1);
  LlamaModel<float> saved(llama_data("tied"),
                          {.tuning = peft::PeftConfig{.r = 2, .modules_to_save = {"lm_head"}}});
  LlamaModel<float> frozen(llama_data("tied"));
  CHECK(saved.total_parameters() ==
        frozen.total_parameters() + 40 * 16 + 2 * 2 * (2 * 16 + 16 + 8));
  // The head moves, and the embeddings stay.
  const GoldenLlama golden("tied");
  Matrix<float> before, after;
  saved.forward(golden.batch, before);
  for (Parameter<float>* parameter : saved.stored_parameters())
    if (parameter->name == "lm_head.weight") parameter->value.setZero();
  saved.forward(golden.batch, after);
  CHECK(same_bits(before, after));
  saved.logits(golden.batch, after);
  CHECK(after.isZero(0));
}

TEST_CASE("merging a head that is tied leaves the embeddings as they are") {
  const peft::PeftConfig config{.r = 2, .target_modules = std::vector<std::string>{"lm_head"}};
  LlamaModel<float> model(llama_data("tied"), {.tuning = config});
  randomise(model);
  const GoldenLlama golden("tied");
  Matrix<float> hidden, merged_hidden, logits, merged_logits;
  model.forward(golden.batch, hidden);
  model.logits(golden.batch, logits);
  model.merge_adapters();
  model.forward(golden.batch, merged_hidden);
  model.logits(golden.batch, merged_logits);
  CHECK(same_bits(hidden, merged_hidden));
  CHECK(largest_difference(logits, merged_logits) < 1e-4);
}

TEST_CASE("a model merges all of its adapters or none") {
  // Qwen2's q_proj has a bias, its o_proj has none that b_B could go into.
  peft::PeftConfig config{.r = 2};
  config.target_modules = std::vector<std::string>{"q_proj", "o_proj"};
  config.lora_bias = true;
  LlamaModel<float> model(llama_data("qwen2"), {.tuning = config});
  randomise(model);
  const GoldenLlama golden("qwen2");
  Matrix<float> before, after;
  model.logits(golden.batch, before);
  check_throws<StateError>([&] { model.merge_adapters(); }, "model.layers.0.self_attn.o_proj");
  model.for_each_adapted([](auto& layer) { CHECK(!layer.merged()); });
  model.logits(golden.batch, after);
  CHECK(same_bits(before, after));
}

TEST_CASE(
    "replicated layers have one frozen weight and an adapter each, also merged and in files") {
  LlamaModel<float> model = adapted_llama("replicated");
  CHECK(model.config().num_hidden_layers == 4);
  const auto memory = [&](const std::string& name) {
    const float* at = nullptr;
    model.for_each_adapted([&](auto& layer) {
      if constexpr (requires { layer.weight().panels().at(0, 0); })
        if (layer.name() == name) at = layer.weight().panels().at(0, 0);
    });
    REQUIRE(at != nullptr);
    return at;
  };
  const std::string end = ".self_attn.q_proj";
  CHECK(memory("model.layers.1" + end) == memory("model.layers.2" + end));
  CHECK(memory("model.layers.0" + end) == memory("model.layers.3" + end));
  CHECK(memory("model.layers.0" + end) != memory("model.layers.1" + end));

  const GoldenLlama golden("replicated");
  Matrix<float> logits, other;
  model.logits(golden.batch, logits);
  const TemporaryDirectory directory;
  model.save_adapter(directory.path());
  CHECK(read_whole(directory / "adapter_config.json") ==
        read_whole(llama_data("replicated") / "adapter" / "adapter_config.json"));
  // Each merges into memory of its own, where PEFT refuses.
  model.merge_adapters();
  CHECK(memory("model.layers.1" + end) != memory("model.layers.2" + end));
  model.logits(golden.batch, other);
  CHECK(largest_difference(logits, other) < 1e-4);
  model.unmerge_adapters();
  model.logits(golden.batch, other);
  CHECK(same_bits(logits, other));

  // What is not those layers' is refused.
  LlamaModel<float> plain = adapted_llama("llama");
  check_throws<FileError>([&] { plain.load_adapter(directory.path()); }, "layer_replication");
  peft::PeftConfig config = peft::read_peft_config(directory.path());
  const auto refused = [&](const char* what) {
    check_throws<ConfigError>(
        [&] { LlamaModel<float>(llama_data("replicated"), {.tuning = config}); }, what);
  };
  config.bias = "lora_only";
  refused("bias is \"lora_only\"");
  config.bias = "none";
  config.layer_replication = {{0, 3}};
  refused("layer_replication has [0, 3]");
}

TEST_CASE("aLoRA leaves the tokens before its invocation to the base model, in decoding too") {
  LlamaModel<float> model = adapted_llama("alora");
  const LlamaModel<float> base(llama_data("alora"));
  const GoldenLlama golden("alora");
  Matrix<float> adapted, plain;
  model.logits(golden.batch, adapted);
  base.logits(golden.batch, plain);
  CHECK(largest_difference(adapted.topRows(5), plain.topRows(5)) < 1e-5);
  CHECK(largest_difference(adapted.middleRows(5, 7), plain.middleRows(5, 7)) > 0.01);
  CHECK(largest_difference(adapted.bottomRows(7), plain.bottomRows(7)) < 1e-5);

  // PEFT's answers, whatever the parts in which the prompts come.
  const std::vector<std::vector<int>> prompts{{golden.ids.begin(), golden.ids.begin() + 12},
                                              {golden.ids.begin() + 12, golden.ids.end()}};
  for (const Index at_once : {1, 3, 256}) {
    CAPTURE(at_once);
    const auto answers = generation::generate(
        model, prompts,
        {.max_new_tokens = 4, .sampling = {.do_sample = false}, .prompt_tokens_at_once = at_once});
    CHECK(answers[0] == golden.numbers("generated_0"));
    CHECK(answers[1] == golden.numbers("generated_1"));
  }

  // The cache of the base model serves the tokens before the invocation.
  KVCache<float> cache = base.make_cache(1, 12);
  Matrix<float> next;
  const std::span<const int> text = prompts[0];
  base.next_logits(text.first(5), std::vector<int>{5}, cache, next);
  model.next_logits(text.subspan(5), std::vector<int>{7}, cache, next);
  CHECK(largest_difference(next, adapted.row(11)) < 1e-4);

  model.set_adapters_enabled(false);
  model.logits(golden.batch, adapted);
  CHECK(largest_difference(adapted, plain) < 1e-5);
  model.set_adapters_enabled(true);
  check_throws<StateError>([&] { model.merge_adapters(); }, "alora_invocation_tokens");
  const AdapterRoutes routes({"default", "__base__"});
  check_throws<StateError>([&] { model.logits(golden.batch, routes, adapted); },
                           "alora_invocation_tokens");
  // An ordinary adapter under its name would be cut short.
  AdapterRegistry<float> registry;
  model.for_each_adapted([&](auto& layer) { registry.manage(layer); });
  const auto ordinary = [] { return peft::read_adapter<float>(llama_data("llama") / "adapter"); };
  check_throws<StateError>(
      [&] { registry.replace("default", peft::registry_modules(ordinary())); },
      "the adapter \"default\" is not replaced: it is invoked by the model's alora");
  check_throws<StateError>([&] { registry.remove("default"); }, "alora_invocation_tokens");
  const TemporaryDirectory directory;
  model.save_adapter(directory.path());
  CHECK(read_whole(directory / "adapter_config.json") ==
        read_whole(llama_data("alora") / "adapter" / "adapter_config.json"));
  LlamaModel<float> other = adapted_llama("llama");
  check_throws<FileError>([&] { other.load_adapter(directory.path()); }, "alora_invocation_tokens");
  peft::PeftConfig config = model.peft_config();
  for (const char* end : {"lm_head", "embed_tokens"}) {
    config.target_modules = std::vector<std::string>{end};
    check_throws<ConfigError>([&] { LlamaModel<float>(llama_data("alora"), {.tuning = config}); },
                              "expected neither embeddings nor head");
  }
}

TEST_CASE("rows of embeddings that train are those of a tied head too, merged or not") {
  LlamaModel<float> model = adapted_llama("tokens");
  const GoldenLlama golden("tokens");
  const auto folder = llama_data("tokens") / "adapter";
  Matrix<float> adapted, other;
  model.logits(golden.batch, adapted);
  // Embeddings and head of a text that comes token by token.
  KVCache<float> cache = model.make_cache(1, 12);
  for (Index i = 0; i < 12; ++i) {
    model.next_logits(std::span(golden.ids).subspan(static_cast<std::size_t>(i), 1),
                      std::vector<int>{1}, cache, other);
    CHECK(largest_difference(other, adapted.row(i)) < 1e-4);
  }
  model.merge_adapters();
  model.logits(golden.batch, other);
  CHECK(largest_difference(other, adapted) < 1e-4);
  model.unmerge_adapters();
  model.logits(golden.batch, other);
  CHECK(other == adapted);
  model.set_adapters_enabled(false);
  model.logits(golden.batch, other);
  CHECK(largest_difference(other, golden.reader.read<float>("logits")) < 1e-4);
  model.set_adapters_enabled(true);
  model.logits(golden.batch, other);
  CHECK(other == adapted);

  // The rows are "default"'s: with another active, or none, they would act all the same.
  AdapterRegistry<float> registry;
  model.for_each_adapted([&](auto& layer) { registry.manage(layer); });
  model.for_each_adapted([&](auto& layer) {
    layer.add_adapter("other", layer.config(), 1);
    check_throws<StateError>([&] { layer.set_adapter("other"); },
                             "is the only one that may be active: the model's rows of "
                             "trainable_token_indices");
  });
  check_throws<StateError>([&] { registry.activate("other"); }, " (AdapterRegistry): the adapter");
  check_throws<StateError>([&] { registry.activate({{"default", 1}, {"other", 1}}); }, "rows of");
  check_throws<StateError>([&] { registry.deactivate(); }, "set_adapters_enabled(false)");
  registry.activate("default");
  registry.remove("other");
  model.logits(golden.batch, other);
  CHECK(other == adapted);

  const TemporaryDirectory directory;
  model.save_adapter(directory.path());
  for (const char* file : {"adapter_config.json", "adapter_model.safetensors"})
    CHECK(read_whole(directory / file) == read_whole(folder / file));
  LlamaModel<float> base = adapted_llama("tied");
  check_throws<FileError>([&] { base.load_adapter(folder); }, "trainable_token_indices");

  peft::PeftConfig config = model.peft_config();
  const auto refused = [&](const std::string& what) {
    check_throws<ConfigError>([&] { LlamaModel<float>(llama_data("tokens"), {.tuning = config}); },
                              what);
  };
  config.trainable_token_indices = {{"embed_tokens", {1, 2}}, {"lm_head", {1, 2}}};
  LlamaModel<float> both(llama_data("tokens"), {.tuning = config});
  both.parameters()[0]->value.setConstant(0.5F);
  both.save_adapter(directory / "both");
  LlamaModel<float> again(llama_data("tokens"), {.tuning = config});
  again.load_adapter(directory / "both");
  both.logits(golden.batch, adapted);
  again.logits(golden.batch, other);
  CHECK(other == adapted);
  config.trainable_token_indices = {{"embed_tokens", {1, 40}}};
  refused("\"model.embed_tokens\" have 40, expected a row in [0, 40)");
  config.trainable_token_indices = {{"", {1, 2, 1}}};
  refused("\"model.embed_tokens\" have 1 twice");
  config.trainable_token_indices = {{"", {1, 2}}};
  config.target_modules = std::vector<std::string>{"lm_head"};
  refused("to which \"lm_head\" is tied");
}

TEST_CASE("texts of a batch do not see each other, and padding on either side changes nothing") {
  check_apart(LlamaModel<float>(llama_data("mistral")), GoldenLlama("mistral"));
}

TEST_CASE("a decoder keeps its contract") {
  const GoldenLlama golden("qwen3");
  const auto load = [](const peft::PeftConfig& tuning) {
    return LlamaModel<float>(llama_data("qwen3"),
                             {.tuning = tuning, .seed = 3, .attention_dropout = 0.1});
  };
  const peft::PeftConfig lora{.r = 2,
                              .lora_alpha = 4,
                              .lora_dropout = 0.2,
                              .target_modules = std::string("all-linear"),
                              .modules_to_save = {"lm_head"}};
  const std::vector<int> ids{1, 2, 3, 4, 5};
  const std::vector<CausalBatch> batches{golden.batch, CausalBatch(ids, std::vector<int>{2, 3})};
  model_contract<CausalTape<float>>(load, lora, batches).check();
}

TEST_CASE("decoding with a cache gives what whole texts give, for any number of threads") {
  for (const std::string name : {"llama", "mistral", "qwen3", "tied", "yarn"}) {
    CAPTURE(name);
    check_decoding(adapted_llama(name), GoldenLlama(name));
  }
}

TEST_CASE("a second step of a decoder allocates nothing, in training and in decoding") {
  LlamaModel<float> model = adapted_llama("qwen3");
  check_no_allocations(model, GoldenLlama("qwen3"));
}

TEST_CASE("a decoder refuses what it cannot compute, and stays as it was") {
  LlamaModel<float> model = adapted_llama("llama");
  check_refusals(model, 64);
}
