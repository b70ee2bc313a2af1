#include <lora/adapters/adapter_registry.hpp>

#include <array>
#include <atomic>
#include <cmath>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <lora/layers/lora_embedding.hpp>
#include <lora/layers/lora_linear.hpp>
#include <lora/layers/lora_multihead_attention.hpp>
#include <lora/layers/weight_start.hpp>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

namespace {

using Names = std::vector<std::string>;

constexpr Index features = 4;

// An adapter that adds `factor` x, so that three layers of one version give (1 + factor)^3 x.
LoRAAdapter<float> multiple(float factor) {
  return LoRAAdapter<float>({.rank = features, .alpha = features},
                            factor * Matrix<float>::Identity(features, features),
                            Matrix<float>::Identity(features, features));
}

// Three layers, the identity each, in a row.
struct Chain {
  Chain() {
    for (const char* name : {"first", "second", "third"}) {
      layers.push_back(std::make_unique<LoRALinear<float>>(
          DenseWeight<float>(Matrix<float>::Identity(features, features))));
      layers.back()->set_name(name);
      registry.manage(*layers.back());
    }
  }

  static AdapterRegistry<float>::Modules modules(float factor,
                                                 const Names& of = {"first", "second", "third"}) {
    AdapterRegistry<float>::Modules modules;
    for (const std::string& name : of) modules.emplace(name, multiple(factor));
    return modules;
  }

  // What becomes of an x of ones.
  [[nodiscard]] Matrix<float> run(const AdapterRoutes& routes) const {
    Matrix<float> x = Matrix<float>::Ones(routes.rows(), features), y;
    for (const auto& layer : layers) {
      layer->forward(x, routes, y);
      x.swap(y);
    }
    return x;
  }

  [[nodiscard]] std::vector<float> rows(const Names& names) const {
    AdapterRoutes routes(names);
    registry.bind(routes);
    const Matrix<float> y = run(routes);
    std::vector<float> firsts;
    for (Index i = 0; i < y.rows(); ++i) firsts.push_back(y(i, 0));
    return firsts;
  }

  std::vector<std::unique_ptr<LoRALinear<float>>> layers;
  AdapterRegistry<float> registry;
};

}  // namespace

TEST_CASE("a registry's adapters are those of all layers, of which one may lack some") {
  Chain chain;
  chain.registry.add("two", Chain::modules(1));
  chain.registry.add("some", Chain::modules(2, {"second"}));
  CHECK(chain.registry.names() == Names{"some", "two"});
  CHECK(chain.registry.has("two"));
  CHECK_FALSE(chain.registry.has("__active__"));
  CHECK(chain.rows({"two", "__base__", "some", "__active__"}) == std::vector<float>{8, 1, 3, 1});
  chain.registry.replace("two", Chain::modules(2));
  CHECK(chain.rows({"two"}) == std::vector<float>{27});
  chain.registry.remove("two");
  check_throws<ConfigError>(
      [&] {
        static_cast<void>(chain.rows({"some", "two"}));
      },
      "AdapterRoutes::bind: row 1 is routed to an adapter called \"two\", which no layer has");
}

TEST_CASE("one adapter or the weighted sum of several is active") {
  Chain chain;
  chain.registry.add("two", Chain::modules(1));
  chain.registry.add("three", Chain::modules(2));
  chain.registry.add("some", Chain::modules(2, {"second"}));
  chain.registry.activate("two");
  CHECK(chain.layers[0]->active_adapter() == "two");
  CHECK(chain.rows({"__active__", "three"}) == std::vector<float>{8, 27});
  chain.registry.activate("some");
  CHECK(chain.rows({"__active__"}) == std::vector<float>{3});
  chain.registry.activate({{"two", 1}, {"three", 0.5}, {"some", -1}});
  CHECK(chain.rows({"__active__", "two"}) == std::vector<float>{9, 8});  // 3 * 1 * 3
  CHECK(chain.registry.names() == Names{"some", "three", "two"});
  const Matrix<float> x = Matrix<float>::Ones(1, features);
  Matrix<float> y;
  chain.layers[0]->forward(x, y);
  CHECK(y(0, 0) == 3);
  check_throws<ConfigError>([&] { chain.registry.activate({{"two", NAN}}); }, "weight");
  check_throws<ConfigError>(
      [&] {
        chain.registry.activate({{"two", 1}, {"two", 2}});
      },
      "\"two\" comes twice");
  check_throws<ConfigError>([&] { chain.registry.activate("four"); }, "no adapter called \"four\"");
  CHECK(chain.rows({"__active__"}) == std::vector<float>{9});
  chain.registry.activate("three");
  chain.layers[0]->set_scale(3);
  chain.registry.replace("three", Chain::modules(1));
  CHECK(chain.rows({"__active__"}) == std::vector<float>{16});  // the factor stays: (1 + 3) 2 2
  chain.registry.remove("three");
  CHECK(chain.rows({"__active__"}) == std::vector<float>{1});
  chain.registry.activate("two");
  chain.registry.deactivate();
  CHECK(chain.layers[2]->adapter_names() == Names{"two"});
  CHECK(chain.rows({"__active__"}) == std::vector<float>{1});
}

TEST_CASE("a change that fails leaves every layer as it was") {
  Chain chain;
  chain.registry.add("two", Chain::modules(1));
  std::array<std::shared_ptr<const AdapterSet<LoRAAdapter<float>>>, 3> before;
  for (const std::size_t i : {0u, 1u, 2u}) before[i] = chain.layers[i]->adapters();
  const auto snapshot = chain.registry.snapshot();
  check_throws<ConfigError>([&] { chain.registry.add("two", Chain::modules(1)); }, "already");
  check_throws<ConfigError>([&] { chain.registry.add("__base__", Chain::modules(1)); },
                            "cannot be called");
  check_throws<ConfigError>([&] { chain.registry.add("none", {}); }, "has no modules");
  check_throws<ConfigError>(
      [&] {
        chain.registry.add("x", Chain::modules(1, {"first", "zeroth"}));
      },
      "\"zeroth\", which is no layer");
  auto wrong = Chain::modules(1, {"first", "second"});
  wrong.emplace("third", LoRAAdapter<float>(features, features + 1, {.rank = 2}, 1));
  check_throws<ShapeError>([&] { chain.registry.add("x", wrong); }, "third");
  check_throws<ShapeError>([&] { chain.registry.replace("two", wrong); }, "third");
  check_throws<ConfigError>([&] { chain.registry.remove("x"); }, "no adapter called \"x\"");
  for (const std::size_t i : {0u, 1u, 2u}) CHECK(chain.layers[i]->adapters() == before[i]);
  CHECK(chain.registry.snapshot() == snapshot);
  chain.registry.activate("two");
  chain.layers[1]->merge();
  check_throws<StateError>([&] { chain.registry.add("x", Chain::modules(1)); },
                           "second (AdapterRegistry)");
  chain.layers[1]->unmerge();
  LoRALinear<float> nameless(DenseWeight<float>(Matrix<float>::Identity(2, 2)));
  check_throws<ConfigError>([&] { chain.registry.manage(nameless); }, "has no name");
  check_throws<ConfigError>([&] { chain.registry.manage(*chain.layers[0]); }, "two layers");
}

TEST_CASE(
    "what layers do by themselves is seen, and a removed adapter is freed after its readers") {
  Chain chain;
  chain.registry.add("two", Chain::modules(1));
  chain.registry.activate("two");
  chain.layers[0]->set_scale(0);
  CHECK(chain.rows({"two"}) == std::vector<float>{4});
  std::weak_ptr<const LoRAAdapter<float>> adapter =
      chain.layers[2]->adapters()->find("two")->adapter;
  AdapterRoutes routes({"two"});
  chain.registry.bind(routes);
  chain.registry.remove("two");
  CHECK(chain.run(routes)(0, 0) == 4);
  CHECK_FALSE(adapter.expired());
  routes = AdapterRoutes();
  CHECK(adapter.expired());
}

TEST_CASE("eight threads serve while adapters come and go, and none sees half a change",
          "[threads]") {
  Chain chain;
  chain.registry.add("stays", Chain::modules(1));
  chain.registry.add("moves", Chain::modules(1));
  std::atomic<bool> stop = false;
  std::atomic<int> wrong = 0, served = 0;
  std::vector<std::thread> readers;
  for (int t = 0; t < 8; ++t)
    readers.emplace_back([&] {
      while (!stop) {
        try {
          const auto y = chain.rows({"moves", "stays", "__active__", "__base__"});
          const bool whole = (y[0] == 8 || y[0] == 27) && y[1] == 8 &&
                             (y[2] == 1 || y[2] == 8 || y[2] == 27 || y[2] == 64) && y[3] == 1;
          if (!whole) ++wrong;
        } catch (const ConfigError&) {  // "moves" has gone
        }
        ++served;
      }
    });
  for (int i = 0; i < 50 || served < 200; ++i) {
    chain.registry.replace("moves", Chain::modules(2));
    chain.registry.activate({{"moves", 1}, {"stays", 1}});
    chain.registry.activate("moves");
    chain.registry.remove("moves");
    chain.registry.add("moves", Chain::modules(1));
    chain.registry.activate("stays");
  }
  stop = true;
  for (std::thread& reader : readers) reader.join();
  CHECK(wrong == 0);
}

TEST_CASE("an adapter with magnitudes is activated alone or routed to, and never summed") {
  Chain chain;
  auto modules = Chain::modules(1, {"second"});
  // Rows of W + s B A are 2 e_i: of length 3 they triple.
  modules.emplace("first",
                  LoRAAdapter<float>({.rank = features, .alpha = features, .use_dora = true},
                                     Matrix<float>::Identity(features, features),
                                     Matrix<float>::Identity(features, features),
                                     Matrix<float>::Constant(1, features, 3)));
  // Without magnitudes of its own it begins with those of W + s B A.
  modules.emplace("third",
                  LoRAAdapter<float>({.rank = features, .alpha = features, .use_dora = true},
                                     Matrix<float>::Identity(features, features),
                                     Matrix<float>::Identity(features, features)));
  chain.registry.add("x", std::move(modules));
  chain.registry.add("two", Chain::modules(1));
  chain.registry.activate("x");
  Matrix<float> x = Matrix<float>::Ones(1, features), y;
  for (const auto& layer : chain.layers) {
    layer->forward(x, y);
    x.swap(y);
  }
  CHECK(x.isConstant(12, 1e-5f));
  const std::vector<float> routed = chain.rows({"x", "two", "__base__"});
  CHECK(std::abs(routed[0] - 12) < 1e-5f);
  CHECK(routed[1] == 8);
  CHECK(routed[2] == 1);
  check_throws<ConfigError>(
      [&] {
        chain.registry.activate({{"two", 1}, {"x", 1}});
      },
      "AdapterRegistry::activate: \"x\" of \"first\" has use_dora, whose updates are not summed");
  check_throws<ConfigError>([&] { chain.registry.activate({{"x", 0.5}}); }, "are not summed");
  CHECK(chain.layers[0]->active_adapter() == "x");
  CHECK(chain.registry.parameters("x").size() == 8);
}

TEST_CASE("embeddings and linear layers have their adapters in one registry") {
  LoRAEmbedding<float> embedding(DenseWeight<float>(random_matrix<float>(6, 4, 1)));
  embedding.set_name("embed_tokens");
  LoRALinear<float> linear(DenseWeight<float>(random_matrix<float>(6, 4, 2)));
  linear.set_name("head");
  AdapterRegistry<float> registry;
  registry.manage(embedding);
  registry.manage(linear);
  const auto embedded = [](std::uint64_t seed) {
    return LoRAEmbeddingAdapter<float>({.rank = 2}, random_matrix<float>(2, 6, seed),
                                       random_matrix<float>(4, 2, seed));
  };
  const auto both = [&](std::uint64_t seed) {
    AdapterRegistry<float>::Modules modules;
    modules.emplace("embed_tokens", embedded(seed));
    modules.emplace("head", LoRAAdapter<float>({.rank = 2}, random_matrix<float>(2, 4, seed),
                                               random_matrix<float>(6, 2, seed)));
    return modules;
  };
  registry.add("a", both(3));
  registry.add("b", both(4));
  AdapterRegistry<float>::Modules wrong;
  wrong.emplace("head", embedded(5));
  check_throws<ConfigError>([&] { registry.add("c", std::move(wrong)); },
                            "AdapterRegistry::add: what the adapter \"c\" has for \"head\" is not "
                            "of the kind that a LoRALinear has");
  CHECK(registry.parameters("a").size() == 4);
  registry.activate({{"a", 1}, {"b", -0.5}});
  const std::vector<int> ids{1, 5};
  Matrix<float> y, base, a, b;
  embedding.forward(ids, y);
  const auto routed = [&](const char* name, Matrix<float>& to) {
    AdapterRoutes routes({name, name});
    registry.bind(routes);
    embedding.forward(ids, routes, to);
  };
  routed("__base__", base);
  routed("a", a);
  routed("b", b);
  CHECK(largest_difference(y, a - 0.5f * (b - base)) < 1e-5);
  registry.remove("a");
  registry.activate("b");
  embedding.forward(ids, y);
  CHECK(largest_difference(y, b) < 1e-6);
}

TEST_CASE("adapters of changed weights are not registered") {
  Chain chain;
  AdapterRegistry<float>::Modules modules;
  LoRALinear<float> other(DenseWeight<float>(random_matrix<float>(features, features, 1)),
                          {.rank = 1}, 1);
  start_olora(other);
  modules = {};
  modules.emplace("first", other.adapter());
  check_throws<StateError>([&] { chain.registry.add("x", std::move(modules)); },
                           "first (LoRALinear::add_adapter): the adapter began with olora");
  CHECK(chain.registry.names().empty());
}

TEST_CASE(
    "a layer whose adapter holds a part of its weight is not managed, nor are its rows routed") {
  LoRALinear<float> layer(DenseWeight<float>(random_matrix<float>(6, 5, 1)), {.rank = 2}, 1);
  layer.set_name("query");
  start_olora(layer);
  AdapterRegistry<float> registry;
  check_throws<ConfigError>([&] { registry.manage(layer); },
                            "query (AdapterRegistry::manage): the adapter \"default\" began with "
                            "olora: a part of the weight is in it");
  Matrix<float> y;
  const Matrix<float> x = random_matrix<float>(1, 5, 2);
  check_throws<StateError>(
      [&] { layer.forward(x, AdapterRoutes({"__base__"}), y); },
      "query (LoRALinear::forward(x, routes, y)): the adapter began with olora");
}

TEST_CASE("adapters of a MultiheadAttention's out_proj keep its factor in a registry") {
  const auto zeros = [](Index out) {
    return LoRALinear<float>(DenseWeight<float>(Matrix<float>::Zero(out, features)));
  };
  LoRAMultiheadAttention<float> attention(zeros(3 * features), zeros(features), {.heads = 1});
  attention.set_name("attn");
  AdapterRegistry<float> registry;
  for (std::size_t p = 0; p < 2; ++p) registry.manage(attention.part(p));
  const auto& out = attention.part(1);
  registry.add("x", Chain::modules(3, {out.name()}));
  registry.add("y", Chain::modules(5, {out.name()}));
  const Matrix<float> x = Matrix<float>::Ones(3, features);
  Matrix<float> result;
  AdapterRoutes routes({"x", "y", "__base__"});
  registry.bind(routes);
  out.forward(x, routes, result);  // of a weight of zeros
  CHECK(result(0, 0) == 6);
  CHECK(result(1, 0) == 10);
  CHECK(result(2, 0) == 0);
  const auto active = [&] {
    out.forward(x, result);
    return result(0, 0);
  };
  registry.activate("x");
  CHECK(active() == 6);
  registry.replace("x", Chain::modules(4, {out.name()}));
  CHECK(active() == 8);
  registry.activate({{"x", 0.5}, {"y", 2}});
  CHECK(active() == 24);  // 2 (0.5 * 4 + 2 * 5)
}

TEST_CASE("an adapter that a layer's model is built around stays where it is") {
  Chain chain;
  chain.registry.add("own", Chain::modules(1));
  chain.registry.add("other", Chain::modules(2));
  chain.registry.activate("own");
  auto& second = *chain.layers[1];
  check_throws<StateError>([&] { second.tie_adapter("none", "of this", false); },
                           "the adapter \"none\" stays in its model: of this");
  second.tie_adapter("own", "of this", false);
  chain.registry.activate("other");
  chain.registry.deactivate();
  check_throws<StateError>([&] { second.tie_adapter("own", "of that", true); }, "may be active");
  const auto refuses = [&](const auto& change, const std::string& what) {
    check_throws<StateError>(change, what);
    CHECK(second.adapter_names() == Names{"own", "other"});
  };
  refuses([&] { second.delete_adapter("own"); },
          "second (LoRALinear::delete_adapter): the adapter \"own\" stays in its model: of this");
  refuses([&] { chain.registry.remove("own"); }, "second (AdapterRegistry): the adapter \"own\"");
  refuses([&] { chain.registry.replace("own", Chain::modules(3)); }, "\"own\" is not replaced");
  refuses([&] { chain.registry.replace("own", Chain::modules(3, {"first"})); }, "stays");
  chain.registry.activate("own");
  second.tie_adapter("own", "of that", true);
  refuses([&] { chain.registry.activate("other"); }, "is the only one that may be active: of that");
  refuses([&] { chain.registry.activate({{"own", 0.5}}); }, "may be active");
  refuses([&] { chain.registry.deactivate(); }, "may be active");
  refuses([&] { second.set_adapter("other"); }, "may be active");
  refuses([&] { second.unset_adapter(); }, "may be active");
  CHECK(chain.layers[0]->active_adapter() == "own");
  second.replace_adapter(multiple(3));
  const auto copy = second;
  CHECK(same_bits(copy.lora_A().value, multiple(3).a().value));
  chain.registry.replace("other", Chain::modules(3));
  chain.registry.remove("other");
}
