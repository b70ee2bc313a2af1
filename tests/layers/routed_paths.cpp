#include <lora/layers/routed_paths.hpp>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include <lora/layers/lora_embedding.hpp>
#include <lora/layers/lora_linear.hpp>
#include <lora/layers/lora_linear_group.hpp>
#include <lora/optim/adamw.hpp>

#include "support/catch.hpp"
#include "support/finite_difference.hpp"
#include "support/random_matrix.hpp"
#include "support/repeatable.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

namespace {

using Names = std::vector<std::string>;

// A layer with adapters "a" to "d" of different ranks, scalings and dropout.
template <class T>
LoRALinear<T> routed_layer(Index out, Index in, double dropout = 0) {
  LoRALinear<T> layer(DenseWeight<T>(random_matrix<T>(out, in, 8)),
                      random_matrix<T>(out, 1, 7).col(0));
  layer.set_name("encoder.query");
  std::uint64_t seed = 20;
  for (const auto& [name, rank] :
       {std::pair<const char*, Index>{"a", 3}, {"b", 1}, {"c", 9}, {"d", 40}}) {
    LoRAAdapter<T> adapter(out, in,
                           {.rank = rank,
                            .alpha = 2.0 + static_cast<double>(seed - 20),
                            .dropout = rank == 1 ? 0 : dropout},
                           seed);
    adapter.b().value = random_matrix<T>(out, rank, ++seed);
    layer.add_adapter(name, std::move(adapter));
  }
  return layer;
}

// An embedding with such adapters, of which "a" has DoRA.
template <class T>
LoRAEmbedding<T> routed_embedding(Index entries, Index features) {
  LoRAEmbedding<T> layer(DenseWeight<T>(random_matrix<T>(entries, features, 8)),
                         {.scale = 1.5, .padding_idx = 2});
  layer.set_name("embed_tokens");
  std::uint64_t seed = 20;
  for (const auto& [name, rank] :
       {std::pair<const char*, Index>{"a", 3}, {"b", 1}, {"c", 9}, {"d", 40}}) {
    LoRAEmbeddingAdapter<T> adapter(
        entries, features,
        {.rank = rank, .alpha = 2.0 + static_cast<double>(seed - 20), .use_dora = rank == 3}, seed);
    adapter.a().value = random_matrix<T>(rank, entries, ++seed);
    if (rank == 3) adapter.set_magnitude(random_matrix<T>(1, features, 7));
    layer.add_adapter(name, std::move(adapter));
  }
  return layer;
}

std::vector<int> some_ids(Index n, int entries) {
  std::vector<int> ids;
  for (int i = 0; i < n; ++i) ids.push_back(i * i * 7 % entries);
  return ids;
}

// Rows of four adapters, which are not neighbours, and of none.
Names mixed_names(Index n) {
  const Names cycle{"b", "a", "__base__", "c", "a", "a", "d", "__base__", "c"};
  Names names;
  for (Index i = 0; i < n; ++i) names.push_back(cycle[static_cast<std::size_t>(i * 4 % 9)]);
  return names;
}

// Returns the rows of one name.
std::vector<Index> rows_of(const Names& names, const std::string& name) {
  std::vector<Index> rows;
  for (std::size_t i = 0; i < names.size(); ++i)
    if (names[i] == name) rows.push_back(static_cast<Index>(i));
  return rows;
}

template <class T>
Matrix<T> taken(const Matrix<T>& from, const std::vector<Index>& rows) {
  return from(rows, Eigen::all);
}

}  // namespace

TEMPLATE_TEST_CASE("each row of a mixed batch is what it is alone with its adapter", "", float,
                   double) {
  using T = TestType;
  for (const Index n : {0, 1, 7, 70})
    for (const auto& [out, in] : {std::pair<Index, Index>{5, 3}, {130, 300}, {520, 64}}) {
      CAPTURE(n, out, in);
      auto layer = routed_layer<T>(out, in);
      const Matrix<T> x = random_matrix<T>(n, in, 1);
      const Names names = mixed_names(n);
      Matrix<T> y, taped, alone;
      layer.forward(x, AdapterRoutes(names), y);
      Tape<T> tape;
      layer.forward(x, AdapterRoutes(names), tape, taped);
      CHECK(same_bits(y, taped));
      for (Index i = 0; i < n; ++i) {
        const std::string& name = names[static_cast<std::size_t>(i)];
        name == base_adapter ? layer.unset_adapter() : layer.set_adapter(name);
        layer.forward(x.row(i), alone);
        CHECK(largest_difference(y.row(i), alone) <= Tolerance<T>(in + 40, 30).value);
      }
    }
}

TEST_CASE("sequences are routed as their rows are") {
  auto layer = routed_layer<float>(33, 20);
  const std::vector<int> lengths{3, 0, 20, 2};
  Names rows;
  for (int i = 0; i < 25; ++i) rows.push_back(i < 3 ? "a" : i < 23 ? "c" : "__base__");
  const Matrix<float> x = random_matrix<float>(25, 20, 1);
  Matrix<float> by_row, by_sequence;
  layer.forward(x, AdapterRoutes(rows), by_row);
  layer.forward(x, AdapterRoutes({"a", "b", "c", "__base__"}, lengths), by_sequence);
  CHECK(same_bits(by_row, by_sequence));
}

TEST_CASE("gradients of a mixed batch are those of batches of their own, masks included") {
  using T = double;
  for (const double dropout : {0.0, 0.4}) {
    CAPTURE(dropout);
    const Index n = 50, in = 530, out = 40;
    auto layer = routed_layer<T>(out, in, dropout), other = routed_layer<T>(out, in, dropout);
    const Matrix<T> x = random_matrix<T>(n, in, 1), dy = random_matrix<T>(n, out, 2);
    const Names names = mixed_names(n);
    Tape<T> tape;
    Matrix<T> y, dx;
    layer.forward(x, AdapterRoutes(names), tape, y);
    layer.backward(x, dy, tape, dx);
    CHECK(tape.empty());
    for (const std::string name : {"a", "b", "c", "d", "__base__"}) {
      CAPTURE(name);
      const auto rows = rows_of(names, name);
      name == base_adapter ? other.unset_adapter() : other.set_adapter(name);
      const Matrix<T> own_x = taken(x, rows), own_dy = taken(dy, rows);
      Tape<T> own_tape;
      Matrix<T> own_y, own_dx;
      other.forward(own_x, own_tape, own_y);
      other.backward(own_x, own_dy, own_tape, own_dx);
      CHECK(largest_difference(taken(y, rows), own_y) < 1e-12 * static_cast<double>(in));
      CHECK(largest_difference(taken(dx, rows), own_dx) < 1e-12 * static_cast<double>(in));
      if (name == base_adapter) continue;
      const auto all = layer.parameters({name}), own = other.parameters();
      REQUIRE(all.size() == 2);
      for (const std::size_t i : {0u, 1u})
        CHECK(relative_error(all[i]->grad, own[i]->grad) < 1e-12);
    }
  }
}

TEST_CASE("gradients of a mixed batch agree with finite differences") {
  auto layer = routed_layer<double>(6, 5, 0.3);
  layer.set_train_bias(true);
  const AdapterRoutes routes(mixed_names(11));
  Matrix<double> x = random_matrix<double>(11, 5, 1), y, dx;
  const Matrix<double> dy = random_matrix<double>(11, 6, 2);
  Tape<double> tape;
  const auto state = tape.random_state();
  layer.forward(x, routes, tape, y);
  layer.backward(x, dy, tape, dx);
  const auto loss = [&] {
    Tape<double> again;
    again.set_random_state(state);
    layer.forward(x, routes, again, y);
    return y.cwiseProduct(dy).sum();
  };
  CHECK(relative_error(dx, finite_difference(x, loss)) < 1e-8);
  const auto parameters = layer.parameters({"a", "b", "c", "d"});
  CHECK(parameters.size() == 9);
  for (auto* parameter : parameters)
    CHECK(relative_error(parameter->grad, finite_difference(parameter->value, loss)) < 1e-8);
}

TEST_CASE("mixed batches have the same bits on any number of threads and allocate nothing twice",
          "[threads]") {
  auto layer = routed_layer<float>(600, 560, 0.2);
  const Index n = 70;
  const AdapterRoutes routes(mixed_names(n));
  const Matrix<float> x = random_matrix<float>(n, 560, 1), dy = random_matrix<float>(n, 600, 2);
  Matrix<float> y, trained, dx, da;
  Tape<float> tape;
  Gradients<float> gradients(layer.parameters({"a", "b", "c", "d"}));
  const auto& const_layer = layer;
  layer.set_adapter("d");
  check_repeatable<float>(
      [&] {
        tape.set_random_state({});
        layer.forward(x, routes, y);
        layer.forward(x, routes, tape, trained);
        gradients.zero();
        const_layer.backward(x, dy, tape, gradients, dx);
        da = gradients.of(layer.lora_A());
      },
      y, trained, dx, da);
}

TEST_CASE("tenants that train in one batch arrive where they do alone") {
  auto layer = routed_layer<double>(7, 6), other = routed_layer<double>(7, 6);
  const Names names{"a", "c", "a", "c", "c", "a"};
  const AdapterRoutes routes(names);
  AdamW<double> mixed_a, mixed_c, alone_a, alone_c;
  for (std::uint64_t step = 0; step < 5; ++step) {
    const Matrix<double> x = random_matrix<double>(6, 6, step),
                         dy = random_matrix<double>(6, 7, 99);
    Matrix<double> y;
    Tape<double> tape;
    layer.forward(x, routes, tape, y);
    const Matrix<double> all = dy + y;
    layer.backward(x, all, tape);
    for (auto [name, mixed, alone] :
         {std::tuple{"a", &mixed_a, &alone_a}, {"c", &mixed_c, &alone_c}}) {
      const auto trained = layer.parameters({name});
      mixed->step(trained);
      zero_grad(trained);
      other.set_adapter(name);
      const auto rows = rows_of(names, name);
      const Matrix<double> own_x = taken(x, rows), own_dy = taken(dy, rows);
      other.forward(own_x, tape, y);
      const Matrix<double> gradient = own_dy + y;
      other.backward(own_x, gradient, tape);
      alone->step(other.parameters());
      zero_grad(other.parameters());
    }
  }
  for (const char* name : {"a", "c"}) {
    other.set_adapter(name);
    const auto mixed = layer.parameters({name}), alone = other.parameters();
    for (const std::size_t i : {0u, 1u})
      CHECK(relative_error(mixed[i]->value, alone[i]->value) < 1e-10);
  }
}

TEST_CASE("a mixed batch that cannot be computed is refused by name, and nothing changes") {
  auto layer = routed_layer<float>(4, 3);
  const Matrix<float> x = random_matrix<float>(3, 3, 1);
  Matrix<float> y = random_matrix<float>(3, 4, 2), dx;
  const Matrix<float> before = y;
  Tape<float> tape;
  check_throws<ConfigError>(
      [&] {
        layer.forward(x, AdapterRoutes({"a", "__base__", "frnch"}), y);
      },
      "encoder.query (LoRALinear::forward(x, routes, y)): row 2 is routed to an adapter called "
      "\"frnch\", which the layer does not have, only \"a\", \"b\", \"c\", \"d\"");
  check_throws<ShapeError>(
      [&] {
        layer.forward(x, AdapterRoutes({"a", "b"}), tape, y);
      },
      "x is (3, 3), expected the 2 rows of the routes");
  const AdapterRoutes routes({"a", "c", "__base__"});
  layer.delete_adapter("c");
  check_throws<ConfigError>([&] { layer.forward(x, routes, tape, y); }, "called \"c\"");
  layer.merge();
  check_throws<StateError>(
      [&] {
        layer.forward(x, AdapterRoutes({"b", "b", "b"}), y);
      },
      "unmerge() first");
  layer.unmerge();
  layer.set_adapter("a");
  check_throws<ConfigError>(
      [&] {
        layer.forward(x, AdapterRoutes({"a", "__active__", "b"}), tape, y);
      },
      "are one adapter: train it under one name");
  CHECK(same_bits(y, before));
  CHECK(tape.empty());
  check_throws<ConfigError>([&] { static_cast<void>(layer.parameters({"c"})); }, "\"c\"");
}

TEST_CASE("backward refuses a layer that is not as it was in the mixed forward") {
  const Matrix<float> x = random_matrix<float>(2, 3, 1), dy = random_matrix<float>(2, 4, 2);
  const AdapterRoutes routes({"a", "c"});
  const auto refused = [&](const auto& change, const char* text) {
    auto layer = routed_layer<float>(4, 3);
    Matrix<float> y;
    Tape<float> tape;
    layer.forward(x, routes, tape, y);
    change(layer);
    check_throws<StateError>([&] { layer.backward(x, dy, tape); }, text);
    CHECK(layer.parameters({"a"})[1]->grad.isZero(0));
    CHECK(!tape.empty());
  };
  refused([](auto& layer) { layer.delete_adapter("c"); },
          "encoder.query (LoRALinear::backward): the adapter \"c\" was deleted");
  refused(
      [](auto& layer) {
        layer.set_adapter("c");
        layer.set_scale(2);
      },
      "the scaling of \"c\" was");
  refused(
      [](auto& layer) {
        layer.set_adapter("a");
        layer.replace_adapter(LoRAAdapter<float>(4, 3, {.rank = 3}, 1));
      },
      "the adapter \"a\" was replaced");
  refused([](auto& layer) { layer.disable_adapter(); }, "the adapters were switched off");
  refused([](auto& layer) { layer.parameters({"c"})[0]->value(0, 0) += 1; }, "A");
  // What other rows' adapters do changes nothing.
  auto layer = routed_layer<float>(4, 3);
  Matrix<float> y;
  Tape<float> tape;
  layer.forward(x, routes, tape, y);
  layer.delete_adapter("b");
  layer.set_adapter("d");
  layer.backward(x, dy, tape);
  CHECK(tape.empty());
}

TEST_CASE("rows have no adapter while adapters are switched off") {
  auto layer = routed_layer<float>(4, 3);
  const Matrix<float> x = random_matrix<float>(2, 3, 1), dy = random_matrix<float>(2, 4, 2);
  Matrix<float> y, base;
  layer.disable_adapter();
  layer.forward(x, base);
  layer.forward(x, AdapterRoutes({"a", "c"}), y);
  CHECK(same_bits(y, base));
  Tape<float> tape;
  layer.forward(x, AdapterRoutes({"a", "c"}), tape, y);
  layer.backward(x, dy, tape);
  CHECK(layer.parameters({"a"})[1]->grad.isZero(0));
}

TEST_CASE("a group's mixed batch is what its layers compute alone") {
  using T = double;
  std::vector<LoRALinear<T>> parts;
  parts.push_back(routed_layer<T>(7, 9, 0.3));
  parts.push_back(routed_layer<T>(5, 9, 0.3));
  parts[0].set_name("key");
  parts[1].delete_adapter("b");
  std::vector<LoRALinear<T>> alone = parts;
  LoRALinearGroup<T> group(std::move(parts));
  const Index n = 20;
  const Matrix<T> x = random_matrix<T>(n, 9, 1);
  const std::array<Matrix<T>, 2> dy{random_matrix<T>(n, 7, 2), random_matrix<T>(n, 5, 3)};
  std::array<Matrix<T>, 2> y;
  AdapterRoutes routes(mixed_names(n));
  check_throws<ConfigError>([&] { group.forward(x, routes, y); },
                            "encoder.query (LoRALinearGroup::forward(x, routes, y)): row 0 is "
                            "routed to an adapter called \"b\"");
  auto snapshot = std::make_shared<AdapterSnapshot>();
  for (const std::size_t p : {0u, 1u}) {
    snapshot->add(&group.part(p), group.part(p).adapters());
    snapshot->add(&alone[p], alone[p].adapters());
  }
  for (const char* name : {"a", "b", "c", "d"}) snapshot->add_name(name);
  snapshot->finish();
  routes.bind(snapshot);

  Matrix<T> dx, sum = Matrix<T>::Zero(n, 9);
  Tape<T> tape;
  group.forward(x, routes, tape, y);
  group.backward(x, dy, tape, dx);
  for (const std::size_t p : {0u, 1u}) {
    Tape<T> own_tape;
    Matrix<T> own_y, own_dx;
    alone[p].forward(x, routes, own_tape, own_y);
    CHECK(largest_difference(y[p], own_y) < 1e-13);
    alone[p].backward(x, dy[p], own_tape, own_dx);
    sum += own_dx;
    const auto of_group = group.part(p).parameters({"a", "c", "d"}),
               of_layer = alone[p].parameters({"a", "c", "d"});
    for (std::size_t i = 0; i < of_group.size(); ++i)
      CHECK(relative_error(of_group[i]->grad, of_layer[i]->grad) < 1e-12);
    alone[p].forward(x, routes, own_y);
    std::array<Matrix<T>, 2> without;
    group.forward(x, routes, without);
    CHECK(largest_difference(without[p], own_y) < 1e-13);
  }
  CHECK(largest_difference(dx, sum) < 1e-12);
  group.forward(x, routes, tape, y);
  group.part(1).delete_adapter("c");
  check_throws<StateError>([&] { group.backward(x, dy, tape, dx); },
                           "encoder.query (LoRALinearGroup::backward): the adapter \"c\" was "
                           "deleted");
}

TEST_CASE("adapters whose A is frozen train in mixed batches, and need no x if all are so") {
  using T = double;
  const Index n = 20;
  const Matrix<T> x = random_matrix<T>(n, 9, 1), dy = random_matrix<T>(n, 7, 2);
  LoRALinear<T> layer(DenseWeight<T>(random_matrix<T>(7, 9, 3)));
  layer.set_name("query");
  for (const bool frozen : {true, false}) {
    LoRAAdapter<T> adapter(7, 9, {.rank = 3, .dropout = 0.2, .freeze_a = frozen}, 4);
    adapter.b().value = random_matrix<T>(7, 3, 5);
    layer.add_adapter(frozen ? "fa" : "both", std::move(adapter));
  }
  const auto names = [&](const char* other) {
    Names all;
    for (Index i = 0; i < n; ++i) all.push_back(i % 3 == 0 ? "fa" : other);
    return all;
  };
  for (const char* other : {"both", "__base__"}) {
    CAPTURE(other);
    const Names all = names(other);
    auto alone = layer;
    Tape<T> tape, own_tape;
    Matrix<T> y, dx, own_y, own_dx;
    layer.forward(x, AdapterRoutes(all), tape, y);
    if (std::string(other) == "both") {
      check_throws<StateError>([&] { layer.backward(dy, tape, dx); },
                               "query (LoRALinear::backward): the gradient of A needs x");
      layer.backward(x, dy, tape, dx);
    } else {
      layer.backward(dy, tape, dx);
    }
    const auto rows = rows_of(all, "fa");
    const Matrix<T> own_x = taken(x, rows), own_dy = taken(dy, rows);
    alone.set_adapter("fa");
    alone.forward(own_x, own_tape, own_y);
    alone.backward(own_dy, own_tape, own_dx);
    CHECK(largest_difference(taken(dx, rows), own_dx) < 1e-13);
    const auto trained = layer.parameters({"fa"});
    REQUIRE(trained.size() == 1);
    CHECK(relative_error(trained[0]->grad, alone.lora_B().grad) < 1e-13);
    zero_grad(trained);
  }
  LoRALinearGroup<T> group(std::vector<LoRALinear<T>>{layer});
  std::array<Matrix<T>, 1> y;
  const std::array<Matrix<T>, 1> dys{dy};
  Tape<T> tape;
  group.forward(x, AdapterRoutes(names("both")), tape, y);
  group.backward(x, dys, tape);
  tape.set_random_state({});
  layer.forward(x, AdapterRoutes(names("both")), tape, y[0]);
  layer.backward(x, dy, tape);
  CHECK(relative_error(group.part(0).parameters({"fa"})[0]->grad,
                       layer.parameters({"fa"})[0]->grad) < 1e-13);
}

TEST_CASE("each id of a mixed batch is looked up as it is alone, and trains its adapter alone") {
  using T = double;
  for (const Index n : {0, 1, 70}) {
    CAPTURE(n);
    auto layer = routed_embedding<T>(30, 17);
    const std::vector<int> ids = some_ids(n, 30);
    const Names names = mixed_names(n);
    const Matrix<T> dy = random_matrix<T>(n, 17, 2);
    Tape<T> tape;
    Matrix<T> y, taped;
    layer.forward(ids, AdapterRoutes(names), y);
    layer.forward(ids, AdapterRoutes(names), tape, taped);
    CHECK(same_bits(y, taped));
    layer.backward(ids, dy, tape);
    CHECK(tape.empty());
    for (const std::string name : {"a", "b", "c", "d", "__base__"}) {
      CAPTURE(name);
      auto own = routed_embedding<T>(30, 17);
      name == base_adapter ? own.unset_adapter() : own.set_adapter(name);
      const auto rows = rows_of(names, name);
      std::vector<int> own_ids;
      for (const Index row : rows) own_ids.push_back(ids[static_cast<std::size_t>(row)]);
      const Matrix<T> own_dy = taken(dy, rows);
      Matrix<T> own_y;
      own.forward(own_ids, tape, own_y);
      own.backward(own_ids, own_dy, tape);
      CHECK(largest_difference(taken(y, rows), own_y) < 1e-12);
      if (name == base_adapter || n == 0) continue;
      const auto all = layer.parameters({name}), alone = own.parameters();
      REQUIRE(all.size() == (name == "a" ? 3u : 2u));
      for (std::size_t i = 0; i < all.size(); ++i)
        CHECK(largest_difference(all[i]->grad, alone[i]->grad) < 1e-11);
    }
  }
}

TEST_CASE("gradients of a mixed batch of ids agree with finite differences") {
  auto layer = routed_embedding<double>(6, 5);
  const AdapterRoutes routes(mixed_names(11));
  const std::vector<int> ids{5, 0, 3, 4, 4, 3, 1, 0, 0, 5, 1};  // without the padding
  const Matrix<double> dy = random_matrix<double>(11, 5, 2);
  Matrix<double> y;
  Tape<double> tape;
  layer.forward(ids, routes, tape, y);
  layer.backward(ids, dy, tape);
  const auto loss = [&] {
    layer.forward(ids, routes, y);
    return y.cwiseProduct(dy).sum();
  };
  // The norms of DoRA are constants in backward, so that of "a" m alone is asked.
  auto parameters = layer.parameters({"b", "c", "d"});
  parameters.add(*layer.parameters({"a"})[2]);
  for (auto* parameter : parameters)
    CHECK(largest_difference(parameter->grad, finite_difference(parameter->value, loss)) < 1e-6);
}

TEST_CASE("mixed batches of ids have the same bits on any number of threads and allocate nothing",
          "[threads]") {
  auto layer = routed_embedding<float>(300, 700);
  const AdapterRoutes routes(mixed_names(150));
  const std::vector<int> ids = some_ids(150, 300);
  const Matrix<float> dy = random_matrix<float>(150, 700, 2);
  Matrix<float> y, trained, da, db;
  Tape<float> tape;
  Gradients<float> gradients(layer.parameters({"a", "b", "c", "d"}));
  const auto& const_layer = layer;
  layer.set_adapter("d");
  check_repeatable<float>(
      [&] {
        layer.forward(ids, routes, y);
        layer.forward(ids, routes, tape, trained);
        gradients.zero();
        const_layer.backward(ids, dy, tape, gradients);
        da = gradients.of(layer.lora_A());
        db = gradients.of(layer.lora_B());
      },
      y, trained, da, db);
}

TEST_CASE("a mixed batch of ids that cannot be computed is refused by name") {
  auto layer = routed_embedding<float>(6, 5);
  Matrix<float> y;
  Tape<float> tape;
  const std::vector<int> ids{1, 0}, wrong{1, 6};
  const AdapterRoutes routes({"a", "b"});
  check_throws<ConfigError>(
      [&] {
        layer.forward(ids, AdapterRoutes({"a", "x"}), tape, y);
      },
      "embed_tokens (LoRAEmbedding::forward(ids, routes, tape, y)): row 1 is routed to an adapter "
      "called \"x\"");
  check_throws<ShapeError>([&] { layer.forward(ids, AdapterRoutes({"a"}), y); },
                           "2 ids, expected the 1 rows of the routes");
  check_throws<ShapeError>([&] { layer.forward(wrong, routes, y); }, "id 1 is 6");
  layer.set_adapter("a");
  layer.merge();
  check_throws<StateError>([&] { layer.forward(ids, routes, y); }, "unmerge() first");
  layer.unmerge();
  CHECK(tape.empty());
  CHECK(y.size() == 0);
  layer.forward(ids, routes, tape, y);
  layer.set_scale(2);
  const Matrix<float> dy = random_matrix<float>(2, 5, 2);
  check_throws<StateError>([&] { layer.backward(ids, dy, tape); }, "the scaling of \"a\" was");
  check_throws<ConfigError>([&] { static_cast<void>(layer.parameters({"x"})); }, "\"x\"");
}
