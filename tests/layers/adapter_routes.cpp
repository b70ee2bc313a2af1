#include <lora/layers/adapter_routes.hpp>

#include <lora/layers/lora_linear.hpp>

#include "support/allocations.hpp"
#include "support/random_matrix.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("routes sort rows by their adapters") {
  AdapterRoutes routes({"b", "a", "__base__", "b"});
  CHECK(routes.rows() == 4);
  CHECK(routes.names() == std::vector<std::string>{"a", "b"});
  const RowGroups& groups = routes.layout()->groups;
  CHECK(groups.places() == 3);
  CHECK(groups.row(0) == 1);
  CHECK(groups.row(1) == 0);
  CHECK(groups.row(2) == 3);
  const AdapterRoutes copy = routes;
  const std::vector<int> lengths{2, 0, 3};
  routes.assign({"a", "b", "a"}, lengths);
  CHECK(routes.rows() == 5);
  CHECK(routes.names() == std::vector<std::string>{"a"});
  CHECK(copy.rows() == 4);
  CHECK(copy.names().size() == 2);
  CHECK(AdapterRoutes().rows() == 0);
}

TEST_CASE("routes of other batches of the same shape are made in the same memory") {
  AdapterRoutes routes;
  const std::vector<std::string> one{"a", "b", "a"}, other{"b", "__base__", "a"};
  for (const auto* names : {&one, &other}) routes.assign(*names);
  CHECK(allocations_of([&] { routes.assign(one); }).count == 0);
  CHECK(allocations_of([&] { routes.assign(other); }).count == 0);
}

TEST_CASE("routes that say nothing are refused, and leave the others as they were") {
  AdapterRoutes routes({"a"});
  check_throws<ConfigError>([&] { routes.assign({"a", ""}); }, "AdapterRoutes: name 1 is empty");
  const std::vector<int> lengths{1, -2};
  check_throws<ShapeError>([&] { routes.assign({"a"}, lengths); },
                           "2 lengths, expected one for each of 1 names");
  check_throws<ShapeError>([&] { routes.assign({"a", "b"}, lengths); }, "length 1 is -2");
  CHECK(routes.rows() == 1);
}

TEST_CASE("bound routes compute with the adapters of the snapshot, in all of its layers") {
  std::vector<LoRALinear<float>> layers;
  for (const std::uint64_t seed : {1u, 2u, 3u})
    layers.emplace_back(DenseWeight<float>(random_matrix<float>(4, 4, seed)));
  for (auto& layer : layers) layer.set_name("l");
  const auto adapter = [](std::uint64_t seed) {
    return LoRAAdapter<float>({.rank = 2}, random_matrix<float>(2, 4, seed),
                              random_matrix<float>(4, 2, seed + 1));
  };
  layers[0].add_adapter("a", adapter(1));
  layers[1].add_adapter("b", adapter(5));
  layers[2].add_adapter("a", adapter(7));
  auto snapshot = std::make_shared<AdapterSnapshot>();
  for (const std::size_t i : {0u, 1u}) {
    snapshot->add(&layers[i], layers[i].adapters());
    for (const std::string& name : layers[i].adapter_names()) snapshot->add_name(name);
  }
  snapshot->finish();
  AdapterRoutes routes({"a", "b"});
  routes.bind(snapshot);
  const Matrix<float> x = random_matrix<float>(2, 4, 9);
  Matrix<float> y, base, before;
  layers[0].forward(x, before);
  layers[0].disable_adapter();
  layers[0].forward(x, base);
  layers[0].enable_adapter();
  layers[0].forward(x, routes, y);
  CHECK(largest_difference(y.row(0), before.row(0)) < 1e-5);
  CHECK(same_bits(y.row(1), base.row(1)));  // it has no "b", which another has
  layers[0].delete_adapter("a");
  Matrix<float> later;
  layers[0].forward(x, routes, later);
  CHECK(same_bits(later, y));

  check_throws<ConfigError>(
      [&] {
        AdapterRoutes wrong({"a", "__base__", "c"});
        wrong.bind(snapshot);
      },
      "AdapterRoutes::bind: row 2 is routed to an adapter called \"c\", which no layer has, only "
      "\"a\", \"b\"");
  check_throws<StateError>([&] { layers[2].forward(x, routes, y); },
                           "l (LoRALinear::forward(x, routes, y)): the routes are bound to a "
                           "snapshot without this layer");
  // Its gradients would go to an adapter that is gone.
  Tape<float> tape;
  layers[0].forward(x, routes, tape, y);
  check_throws<StateError>([&] { layers[0].backward(x, y, tape); },
                           "the adapter \"a\" was deleted");
}

TEST_CASE("routes of texts are expanded to those of their tokens") {
  const AdapterRoutes texts({"b", "a", "__base__", "b"});
  const std::vector<int> lengths{2, 0, 1, 3};
  const AdapterRoutes tokens = texts.expanded(lengths);
  CHECK(tokens.rows() == 6);
  CHECK(tokens.layout()->groups.places() == 5);
  CHECK(tokens.layout()->groups.row(4) == 5);
  check_throws<ShapeError>([&] { static_cast<void>(texts.expanded(std::vector<int>{1})); },
                           "1 lengths, expected one for each of 4 rows");
}
