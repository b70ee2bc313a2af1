#include <lora/models/common/invocation.hpp>

#include <lora/adapters/adapter_registry.hpp>
#include <lora/layers/lora_embedding.hpp>
#include <lora/layers/lora_linear_group.hpp>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::models;
using namespace lora::test;

namespace {

// Which rows are the active adapter's.
std::vector<Index> invoked(const AdapterRoutes& routes) {
  CHECK(routes.layers_may_lack_adapters());
  std::vector<Index> rows;
  const auto layout = routes.layout();
  if (layout->names.empty()) return rows;
  CHECK(layout->names == std::vector<std::string>{active_adapters});
  const RowGroups::Run run = layout->groups.groups()[0];
  for (Index i = 0; i < run.count; ++i) rows.push_back(layout->groups.row(run.first + i));
  return rows;
}

}  // namespace

TEST_CASE("an adapter begins where a text has its tokens for the last time") {
  const Invocation invocation({7, 3});
  CHECK(invocation.exists());
  CHECK_FALSE(Invocation({}).exists());
  const std::vector<int> ids{7, 3, 1, 7, 3, 2, 7, 3, 7};
  CHECK(invocation.last_in(ids) == 6);
  CHECK_FALSE(invocation.last_in(std::vector<int>{3, 7}));
  Sequences texts;
  texts.set_packed(std::vector<int>{6, 1, 2});
  // The second text ends in the first of the tokens; texts do not see each other.
  const std::vector<int> three{7, 3, 1, 7, 3, 2, 7, 3, 7};
  const AdapterRoutes routes = invocation.rows(three, texts);
  CHECK(routes.rows() == 9);
  CHECK(invoked(routes) == std::vector<Index>{3, 4, 5});
}

TEST_CASE("texts go on with the adapter that was invoked in them, and tokens alone invoke none") {
  const Invocation invocation({7});
  KVCache<float> cache(1, 2, 20, 1);
  const auto step = [&](const std::vector<int>& ids, const std::vector<int>& counts) {
    const auto rows = invoked(invocation.rows(ids, counts, cache));
    invocation.mark(ids, counts, cache);
    cache.commit(counts);
    return rows;
  };
  CHECK(step({1, 7, 2, 5, 5}, {3, 2}) == std::vector<Index>{1, 2});
  CHECK(cache.marked(0) == 1);
  CHECK(cache.marked(1) == -1);
  CHECK(step({3, 7}, {1, 1}) == std::vector<Index>{0});
  CHECK(step({5, 7, 7}, {0, 3}) == std::vector<Index>{2});
  CHECK(step({5, 5}, {1, 1}) == std::vector<Index>{0, 1});
  // Back to before the place.
  cache.truncate(0, 2);
  CHECK(cache.marked(0) == 1);
  cache.truncate(0, 1);
  CHECK(cache.marked(0) == -1);
  cache.clear();
  CHECK(cache.marked(1) == -1);
  CHECK(step({7, 5}, {1, 1}) == std::vector<Index>{0});
}

TEST_CASE("a prompt that comes in parts has the adapter where the whole of it says") {
  const Invocation invocation({7, 3});
  KVCache<float> cache(1, 1, 20, 1);
  const std::vector<int> prompt{7, 3, 1, 7, 3, 2};
  invocation.expect(0, prompt, cache);
  CHECK(cache.marked(0) == 3);
  std::vector<Index> all;
  for (const int count : {2, 2, 1, 1}) {
    const auto first = static_cast<std::size_t>(cache.length(0));
    const std::vector<int> counts{count};
    const std::span<const int> ids(prompt.data() + first, static_cast<std::size_t>(count));
    for (const Index row : invoked(invocation.rows(ids, counts, cache)))
      all.push_back(cache.length(0) + row);
    invocation.mark(ids, counts, cache);
    cache.commit(counts);
  }
  CHECK(all == std::vector<Index>{3, 4, 5});
}

TEST_CASE("biases train in a batch whose texts invoke no adapter, and factors do not") {
  const Invocation invocation({7, 3});
  Sequences texts;
  texts.set_packed(std::vector<int>{3, 2});
  const std::vector<int> ids{1, 7, 1, 3, 7};
  const AdapterRoutes routes = invocation.rows(ids, texts);
  CHECK(invoked(routes).empty());

  const auto linear = [](std::uint64_t seed) {
    LoRALinear<float> layer(DenseWeight<float>(random_matrix<float>(6, 4, seed)),
                            {.rank = 2, .dropout = 0.5, .train_bias = true}, 2,
                            Vector<float>::Ones(6));
    layer.lora_B().value = random_matrix<float>(6, 2, seed + 1);
    return layer;
  };
  const Matrix<float> x = random_matrix<float>(5, 4, 1), dy = random_matrix<float>(5, 6, 2);
  const auto check = [&](LoRALinear<float>& layer, const Matrix<float>& y) {
    const Matrix<float> frozen =
        (x * layer.weight().matrix().transpose()).rowwise() + layer.bias().value.row(0);
    CHECK(largest_difference(y, frozen) < 1e-5);
    CHECK(largest_difference(layer.bias().grad, Matrix<float>(dy.colwise().sum())) < 1e-5);
    CHECK(layer.lora_A().grad.isZero(0));
    CHECK(layer.lora_B().grad.isZero(0));
  };
  Matrix<float> y, dx;
  std::vector<Matrix<float>> ys(2);
  LoRALinear<float> alone = linear(10);
  Tape<float> tape;
  alone.forward(x, routes, tape, y);
  alone.backward(x, dy, tape, dx);
  check(alone, y);
  CHECK(largest_difference(dx, Matrix<float>(dy * alone.weight().matrix())) < 1e-5);

  std::vector<LoRALinear<float>> parts;
  for (const std::uint64_t seed : {20u, 30u}) parts.push_back(linear(seed));
  LoRALinearGroup<float> group(std::move(parts));
  const std::vector<Matrix<float>> dys{dy, dy};
  group.forward(x, routes, tape, ys);
  group.backward(x, dys, tape, dx);
  for (std::size_t p = 0; p < 2; ++p) check(group.part(p), ys[p]);

  LoRAEmbedding<float> embedding(DenseWeight<float>(random_matrix<float>(8, 6, 1)), {.rank = 2}, 3);
  embedding.lora_A().value.setOnes();
  embedding.forward(ids, routes, tape, y);
  for (std::size_t i = 0; i < ids.size(); ++i)
    CHECK(same_bits(y.row(Index(i)), embedding.weight().matrix().row(ids[i])));
  embedding.backward(ids, dy, tape);
  CHECK(embedding.lora_B().grad.isZero(0));
}

TEST_CASE("a layer refuses an ordinary adapter where tokens invoke the model's own") {
  LoRALinear<float> layer(DenseWeight<float>(random_matrix<float>(3, 4, 1)), {.rank = 2}, 1);
  layer.set_name("q");
  layer.lora_B().value.setOnes();
  AdapterRegistry<float> registry;
  registry.manage(layer);
  registry.add("french", {{"q", LoRAAdapter<float>(3, 4, {.rank = 1}, 2)}});
  const Invocation invocation({7});
  Sequences texts;
  texts.set_packed(std::vector<int>{3});
  const std::vector<int> ids{1, 7, 2};
  const AdapterRoutes routes = invocation.rows(ids, texts);
  const Matrix<float> x = random_matrix<float>(3, 4, 3);
  Matrix<float> y, dx;
  Tape<float> tape;
  registry.activate("default");
  layer.forward(x, routes, y);
  registry.deactivate();
  layer.forward(x, routes, y);
  const std::string expected =
      "q (LoRALinear::forward(x, routes, y)): the adapter \"french\" is active, but only "
      "\"default\" is invoked by alora_invocation_tokens";
  registry.activate("french");
  check_throws<StateError>([&] { layer.forward(x, routes, y); }, expected);
  check_throws<StateError>(
      [&] {
        layer.forward(x, routes.expanded(std::vector<int>{1, 1, 1}), y);
      },
      expected);
  check_throws<StateError>([&] { layer.forward(x, routes, tape, y); }, "\"french\" is active");
  // A sum of several is no adapter that tokens invoke either.
  registry.activate({{"default", 1}, {"french", 0.5}});
  check_throws<StateError>([&] { layer.forward(x, routes, y); }, "is active, but only");
  // Switched off it adds nothing, and routes of any other batch take it.
  layer.disable_adapter();
  layer.forward(x, routes, y);
  layer.enable_adapter();
  layer.forward(x, AdapterRoutes({active_adapters, base_adapter, active_adapters}), y);
}
