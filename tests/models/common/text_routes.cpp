#include <lora/models/common/text_routes.hpp>

#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include <lora/adapters/adapter_registry.hpp>
#include <lora/models/bert/bert_classifier.hpp>
#include <lora/models/gpt2/gpt2_model.hpp>
#include <lora/models/llama/llama_model.hpp>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::models;
using namespace lora::test;

namespace {

using Names = std::vector<std::string>;

peft::PeftConfig lora_of(const Names& targets, const std::string& task) {
  peft::PeftConfig config;
  config.r = 2;
  config.target_modules = targets;
  config.task_type = task;
  return config;
}

// Gives the model adapters "one" and "two", of which the second adapts not every layer.
template <class Model>
void add_adapters(Model& model, AdapterRegistry<float>& registry) {
  AdapterRegistry<float>::Modules one, two;
  std::uint64_t seed = 1;
  model.for_each_adapted([&](auto& layer) {
    registry.manage(layer);
    const auto add = [&]<class Adapter>(const Adapter*, Index out, Index in) {
      const auto adapter = [&](Index rank) {
        ++seed;
        return Adapter({.rank = rank}, random_matrix<float>(rank, in, seed),
                       random_matrix<float>(out, rank, 100 + seed));
      };
      one.emplace(layer.name(), adapter(3));
      if (seed % 3 == 0) two.emplace(layer.name(), adapter(1));
    };
    const typename std::decay_t<decltype(layer)>::Adapter* kind = nullptr;
    if constexpr (requires { layer.in_features(); })
      add(kind, layer.out_features(), layer.in_features());
    else
      add(kind, layer.features(), layer.entries());
  });
  registry.add("one", std::move(one));
  registry.add("two", std::move(two));
  registry.remove(default_adapter);
}

// Activates the adapter for a forward without routes.
void use(AdapterRegistry<float>& registry, const std::string& name) {
  name == base_adapter ? registry.deactivate() : registry.activate(name);
}

const Names mixed{"two", "__base__", "one", "two"};

}  // namespace

TEST_CASE("each text of a mixed batch through BERT is what it is alone with its adapter") {
  BertClassifier<float, BertTask::sequence_classification> model(
      LORA_GOLDEN_DIR "/bert/tiny",
      {.tuning = lora_of({"query", "value", "dense", "word_embeddings", "token_type_embeddings"},
                         "SEQ_CLS"),
       .seed = 5});
  AdapterRegistry<float> registry;
  add_adapters(model, registry);
  const Matrix<int> ids{{2, 5, 6, 3}, {2, 7, 3, 0}, {2, 8, 9, 3}, {2, 4, 0, 0}},
      types = Matrix<int>::Zero(4, 4), mask = (ids.array() != 0).cast<int>();
  AdapterRoutes routes(mixed);
  const PackedBatch batch(text::TokenBatch{ids, types, mask});
  Matrix<float> y, alone;
  check_throws<StateError>([&] { model.forward(batch, routes, y); }, "AdapterRegistry::bind");
  registry.bind(routes);
  model.forward(batch, routes, y);
  for (Index b = 0; b < 4; ++b) {
    use(registry, mixed[static_cast<std::size_t>(b)]);
    model.forward(text::TokenBatch{ids.row(b), types.row(b), mask.row(b)}, alone);
    CHECK(largest_difference(y.row(b), alone) < 1e-5);
  }
  AdapterRoutes fewer({"one"});
  registry.bind(fewer);
  check_throws<ShapeError>([&] { model.forward(batch, fewer, y); },
                           "the routes are of 1 texts, expected the 4 of the batch");
}

TEMPLATE_TEST_CASE("each text of a mixed batch through a decoder is what it is alone", "",
                   LlamaModel<float>, GPT2Model<float>) {
  constexpr bool llama = std::is_same_v<TestType, LlamaModel<float>>;
  TestType model(llama ? LORA_GOLDEN_DIR "/llama/llama" : LORA_GOLDEN_DIR "/gpt2/gpt2",
                 {.tuning = lora_of(llama ? Names{"q_proj", "down_proj", "lm_head", "embed_tokens"}
                                          : Names{"c_attn", "c_fc", "wte", "wpe"},
                                    "CAUSAL_LM")});
  AdapterRegistry<float> registry;
  add_adapters(model, registry);
  const std::vector<int> ids{3, 4, 5, 6, 7, 8, 9, 4, 3, 2}, lengths{3, 2, 1, 4};
  AdapterRoutes routes(mixed);
  registry.bind(routes);
  Matrix<float> logits, next, alone;
  model.logits(CausalBatch(ids, lengths), routes, logits);
  auto cache = model.make_cache(4, 8);
  model.next_logits(ids, lengths, cache, routes, next);
  Index begin = 0;
  for (Index b = 0; b < 4; ++b) {
    const int length = lengths[static_cast<std::size_t>(b)];
    use(registry, mixed[static_cast<std::size_t>(b)]);
    model.logits(CausalBatch(std::span(ids).subspan(static_cast<std::size_t>(begin),
                                                    static_cast<std::size_t>(length)),
                             std::vector<int>{length}),
                 alone);
    CHECK(largest_difference(logits.middleRows(begin, length), alone) < 1e-4);
    CHECK(largest_difference(next.row(b), alone.bottomRows(1)) < 1e-4);
    begin += length;
  }
}

namespace {

// Checks that a step of mixed texts gives each adapter the gradients of a step of its own texts:
// mixed_step() and own_step(texts) run forward and backward.
template <class Mixed, class Own>
void check_gradients_apart(AdapterRegistry<float>& registry, const Mixed& mixed_step,
                           const Own& own_step) {
  mixed_step();
  for (const std::string name : {"one", "two"}) {
    std::vector<Matrix<float>> gradients;
    for (auto* parameter : registry.parameters(name)) {
      gradients.emplace_back(parameter->grad);
      parameter->zero_grad();
    }
    use(registry, name);
    std::vector<int> texts;
    for (std::size_t b = 0; b < mixed.size(); ++b)
      if (mixed[b] == name) texts.push_back(static_cast<int>(b));
    own_step(texts);
    std::size_t i = 0;
    for (auto* parameter : registry.parameters(name)) {
      CAPTURE(name, parameter->name);
      const double size = std::max(1e-3, static_cast<double>(gradients[i].cwiseAbs().maxCoeff()));
      CHECK(largest_difference(parameter->grad, gradients[i++]) < 1e-4 * size);
    }
  }
  registry.deactivate();
  CHECK_THROWS_AS(registry.parameters("three"), ConfigError);
}

}  // namespace

TEST_CASE("tenants of one batch through BERT get the gradients of batches of their own") {
  for (const bool recompute : {false, true}) {
    CAPTURE(recompute);
    BertOptions options{
        .tuning = lora_of({"query", "value", "dense", "word_embeddings", "position_embeddings"},
                          "SEQ_CLS"),
        .seed = 5};
    options.hidden_dropout = options.attention_dropout = options.classifier_dropout = 0;
    options.recompute_activations = recompute;
    BertClassifier<float, BertTask::sequence_classification> model(LORA_GOLDEN_DIR "/bert/tiny",
                                                                   options);
    AdapterRegistry<float> registry;
    add_adapters(model, registry);
    const Matrix<int> ids{{2, 5, 6, 3}, {2, 7, 3, 0}, {2, 8, 9, 3}, {2, 4, 0, 0}},
        types = Matrix<int>::Zero(4, 4), mask = (ids.array() != 0).cast<int>();
    const Matrix<float> dlogits = random_matrix<float>(4, model.labels(), 3);
    BertTape<float> tape;
    Matrix<float> y;
    check_gradients_apart(
        registry,
        [&] {
          AdapterRoutes routes(mixed);
          registry.bind(routes);
          model.forward(text::TokenBatch{ids, types, mask}, routes, tape, y);
          model.backward(dlogits, tape);
        },
        [&](const std::vector<int>& texts) {
          const auto some = [&](const Matrix<int>& m) { return Matrix<int>(m(texts, Eigen::all)); };
          const Matrix<float> d = dlogits(texts, Eigen::all);
          model.forward(text::TokenBatch{some(ids), some(types), some(mask)}, tape, y);
          model.backward(d, tape);
        });
  }
}

TEMPLATE_TEST_CASE(
    "tenants of one batch through a decoder get the gradients of batches of their own", "",
    LlamaModel<float>, GPT2Model<float>) {
  constexpr bool llama = std::is_same_v<TestType, LlamaModel<float>>;
  TestType model(
      llama ? LORA_GOLDEN_DIR "/llama/llama" : LORA_GOLDEN_DIR "/gpt2/gpt2",
      {.tuning = lora_of(llama ? Names{"q_proj", "o_proj", "down_proj", "embed_tokens", "lm_head"}
                               : Names{"c_attn", "c_proj", "wte", "wpe", "lm_head"},
                         "CAUSAL_LM"),
       .recompute_activations = true});
  AdapterRegistry<float> registry;
  add_adapters(model, registry);
  const std::vector<std::vector<int>> texts{{3, 4, 5}, {6, 7}, {8, 9, 4, 2}, {2, 3}};
  CausalTape<float> tape;
  const auto step = [&](const std::vector<int>& chosen, const AdapterRoutes* routes) {
    std::vector<int> ids, lengths;
    for (const int b : chosen) {
      const auto& text = texts[static_cast<std::size_t>(b)];
      ids.insert(ids.end(), text.begin(), text.end());
      lengths.push_back(static_cast<int>(text.size()));
    }
    const CausalBatch batch(ids, lengths);
    static_cast<void>(routes == nullptr ? model.loss(batch, ids, tape, Index{10})
                                        : model.loss(batch, ids, *routes, tape, Index{10}));
    model.backward(tape);
  };
  check_gradients_apart(
      registry,
      [&] {
        AdapterRoutes routes(mixed);
        registry.bind(routes);
        step({0, 1, 2, 3}, &routes);
      },
      [&](const std::vector<int>& chosen) { step(chosen, nullptr); });
}
