#include <lora/models/common/own_rows.hpp>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <lora/adapters/adapter_registry.hpp>
#include <lora/models/bert/bert_classifier.hpp>
#include <lora/models/llama/llama_model.hpp>
#include <lora/peft/peft_config_file.hpp>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::models;
using namespace lora::test;

namespace {

using Names = std::vector<std::string>;

// Gives the model's layers an adapter called "other" beside "default", and takes all in.
template <class Model>
void add_other(Model& model, AdapterRegistry<float>& registry) {
  AdapterRegistry<float>::Modules other;
  std::uint64_t seed = 1;
  model.for_each_adapted([&](auto& layer) {
    registry.manage(layer);
    if constexpr (requires { layer.in_features(); }) {
      ++seed;
      other.emplace(
          layer.name(),
          LoRAAdapter<float>({.rank = 2}, random_matrix<float>(2, layer.in_features(), seed),
                             random_matrix<float>(layer.out_features(), 2, 9 + seed)));
    }
  });
  registry.add("other", std::move(other));
}

template <class Model>
TrainableTokens<float>* tokens_of(Model& model) {
  TrainableTokens<float>* found = nullptr;
  model.for_each_trainable_tokens([&](auto& tokens) { found = &tokens; });
  return found;
}

AdapterRoutes bound(const AdapterRegistry<float>& registry, const Names& names) {
  AdapterRoutes routes(names);
  registry.bind(routes);
  return routes;
}

}  // namespace

TEST_CASE("rows that train act in the rows of a bound batch that are their adapter's") {
  CHECK(OwnRows(nullptr).chosen().empty());
  AdapterRoutes routes({"default", "__base__", "default"});
  CHECK(OwnRows(&routes).chosen().empty());
  LoRALinear<float> layer(DenseWeight<float>(Matrix<float>::Identity(2, 2)), {.rank = 1}, 1);
  layer.set_name("layer");
  AdapterRegistry<float> registry;
  registry.manage(layer);
  registry.bind(routes);
  const OwnRows own(&routes);
  CHECK(std::vector<char>(own.chosen().begin(), own.chosen().end()) == std::vector<char>{1, 0, 1});
}

TEST_CASE("texts of a mixed batch have the token rows of their adapter alone, in a tied head too") {
  const std::string data = LORA_GOLDEN_DIR "/llama/tokens";
  const peft::PeftConfig tuning = peft::read_peft_config(data + "/adapter");
  peft::PeftConfig without = tuning;
  without.trainable_token_indices.clear();
  LlamaModel<float> model(data, {.tuning = tuning}), others(data, {.tuning = without});
  model.load_adapter(data + "/adapter");
  AdapterRegistry<float> registry, of_others;
  add_other(model, registry);
  add_other(others, of_others);
  TrainableTokens<float>& tokens = *tokens_of(model);
  tokens.values().value *= 2;

  // 7, 3 and 21 have rows that train.
  const std::vector<int> ids{7, 4, 3, 21, 7, 5, 3, 2, 7, 21}, lengths{3, 3, 4};
  const CausalBatch batch(ids, lengths);
  const Names names{"other", "default", "__base__"};
  const AdapterRoutes routes = bound(registry, names);
  Matrix<float> logits, next, alone;
  model.logits(batch, routes, logits);
  auto cache = model.make_cache(3, 8);
  model.next_logits(ids, lengths, cache, routes, next);
  Index begin = 0;
  for (std::size_t b = 0; b < 3; ++b) {
    CAPTURE(names[b]);
    const std::vector<int> text(ids.begin() + begin, ids.begin() + begin + lengths[b]);
    const CausalBatch own(text, std::vector<int>{lengths[b]});
    if (names[b] == default_adapter) {
      model.logits(own, alone);
    } else {
      names[b] == base_adapter ? of_others.deactivate() : of_others.activate(names[b]);
      others.logits(own, alone);
    }
    CHECK(largest_difference(logits.middleRows(begin, lengths[b]), alone) < 1e-4);
    CHECK(largest_difference(next.row(static_cast<Index>(b)), alone.bottomRows(1)) < 1e-4);
    begin += lengths[b];
  }

  // The rows train on their own text, as the adapter does.
  CausalTape<float> tape;
  static_cast<void>(model.loss(batch, ids, routes, tape, Index{7}));
  model.backward(tape);
  const Matrix<float> mixed = tokens.values().grad;
  std::vector<Matrix<float>> factors;
  for (auto* parameter : registry.parameters(default_adapter)) {
    factors.emplace_back(parameter->grad);
    parameter->zero_grad();
  }
  tokens.values().zero_grad();
  const std::vector<int> text(ids.begin() + 3, ids.begin() + 6);
  static_cast<void>(model.loss(CausalBatch(text, std::vector<int>{3}), text, tape, Index{7}));
  model.backward(tape);
  CHECK(mixed.norm() > 0);
  CHECK(largest_difference(tokens.values().grad, mixed) < 1e-5);
  std::size_t i = 0;
  for (auto* parameter : registry.parameters(default_adapter))
    CHECK(largest_difference(parameter->grad, factors[i++]) < 1e-5);

  // Where no text has them, gradients made of another adapter's parameters are enough.
  Gradients<float> gradients(registry.parameters("other"));
  const AdapterRoutes elsewhere = bound(registry, {"other", "other", "__base__"});
  static_cast<void>(model.loss(batch, ids, elsewhere, tape, Index{7}, gradients));
  model.backward(tape, gradients);

  check_throws<StateError>(
      [&] {
        model.logits(batch, bound(registry, {"other", "__active__", "default"}), logits);
      },
      "belong to \"default\", and texts are routed to \"__active__\": name their adapter");
}

TEST_CASE("texts of a mixed batch through BERT have the token rows of their adapter alone") {
  using Model = BertClassifier<float, BertTask::sequence_classification>;
  peft::PeftConfig without;
  without.r = 2;
  without.target_modules = Names{"query"};
  without.task_type = "SEQ_CLS";
  peft::PeftConfig tuning = without;
  tuning.trainable_token_indices = {{"word_embeddings", {5, 8}}};
  const auto load = [](const peft::PeftConfig& config) {
    BertOptions options{.tuning = config, .seed = 5};
    options.hidden_dropout = options.attention_dropout = options.classifier_dropout = 0;
    return Model(LORA_GOLDEN_DIR "/bert/tiny", options);
  };
  Model model = load(tuning), others = load(without);
  AdapterRegistry<float> registry, of_others;
  add_other(model, registry);
  add_other(others, of_others);
  TrainableTokens<float>& tokens = *tokens_of(model);
  tokens.values().value = random_matrix<float>(2, tokens.features(), 3);

  const Matrix<int> ids{{2, 5, 8, 3}, {2, 8, 5, 0}, {2, 5, 5, 3}},
      types = Matrix<int>::Zero(3, 4), mask = (ids.array() != 0).cast<int>();
  const Names names{"other", "default", "__base__"};
  const AdapterRoutes routes = bound(registry, names);
  const auto text = [&](Index b) {
    return text::TokenBatch{ids.row(b), types.row(b), mask.row(b)};
  };
  BertTape<float> tape;
  Matrix<float> y, trained, alone;
  model.forward(PackedBatch(text::TokenBatch{ids, types, mask}), routes, y);
  model.forward(text::TokenBatch{ids, types, mask}, routes, tape, trained);
  CHECK(largest_difference(y, trained) < 1e-5);
  of_others.activate("other");
  others.forward(text(0), alone);
  CHECK(largest_difference(y.row(0), alone) < 1e-5);
  of_others.deactivate();
  others.forward(text(2), alone);
  CHECK(largest_difference(y.row(2), alone) < 1e-5);
  model.forward(text(1), alone);
  CHECK(largest_difference(y.row(1), alone) < 1e-5);

  const Matrix<float> dlogits = random_matrix<float>(3, model.labels(), 4);
  model.backward(dlogits, tape);
  const Matrix<float> mixed = tokens.values().grad;
  tokens.values().zero_grad();
  model.forward(text(1), tape, alone);
  const Matrix<float> own = dlogits.row(1);
  model.backward(own, tape);
  CHECK(mixed.norm() > 0);
  CHECK(largest_difference(tokens.values().grad, mixed) < 1e-5);
}
