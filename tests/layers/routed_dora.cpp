#include <lora/layers/routed_dora.hpp>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include <lora/layers/lora_linear.hpp>
#include <lora/layers/lora_linear_group.hpp>

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

// A layer with adapters "m" and "n" that have DoRA, "n" without dropout, and "plain" with a bias of
// B instead, which DoRA excludes.
template <class T>
LoRALinear<T> layer_with_dora(Index out, Index in, double dropout) {
  LoRALinear<T> layer(DenseWeight<T>(random_matrix<T>(out, in, 8)),
                      random_matrix<T>(out, 1, 7).col(0));
  layer.set_name("query");
  std::uint64_t seed = 20;
  for (const auto& [name, rank] : {std::pair<const char*, Index>{"m", 3}, {"n", 1}, {"plain", 5}}) {
    const bool dora = rank < 5;
    LoRAAdapter<T> adapter(out, in,
                           {.rank = rank,
                            .alpha = 2.0 * static_cast<double>(rank),
                            .dropout = rank == 1 ? 0 : dropout,
                            .use_dora = dora,
                            .lora_bias = !dora},
                           ++seed);
    adapter.b().value = random_matrix<T>(out, rank, ++seed);
    if (dora)
      adapter.set_magnitude(random_matrix<T>(1, out, ++seed));
    else
      adapter.set_b_bias(random_matrix<T>(1, out, ++seed));
    layer.add_adapter(name, std::move(adapter));
  }
  return layer;
}

Names dora_names(Index n) {
  const Names cycle{"m", "plain", "n", "m", "__base__"};
  Names names;
  for (Index i = 0; i < n; ++i) names.push_back(cycle[static_cast<std::size_t>(i * 3 % 5)]);
  return names;
}

std::vector<Index> rows_with(const Names& names, const std::string& name) {
  std::vector<Index> rows;
  for (std::size_t i = 0; i < names.size(); ++i)
    if (names[i] == name) rows.push_back(static_cast<Index>(i));
  return rows;
}

}  // namespace

TEST_CASE("rows of adapters with DoRA compute and train in a mixed batch as by themselves") {
  using T = double;
  for (const Index n : {0, 1, 44})
    for (const double dropout : {0.0, 0.4}) {
      CAPTURE(n, dropout);
      const Index in = 70, out = 90;
      auto layer = layer_with_dora<T>(out, in, dropout);
      const Matrix<T> x = random_matrix<T>(n, in, 1), dy = random_matrix<T>(n, out, 2);
      const Names names = dora_names(n);
      Tape<T> tape;
      Matrix<T> y, taped, dx;
      layer.forward(x, AdapterRoutes(names), y);
      layer.forward(x, AdapterRoutes(names), tape, taped);
      layer.backward(x, dy, tape, dx);
      CHECK(tape.empty());
      for (const std::string name : {"m", "n", "plain", "__base__"}) {
        CAPTURE(name);
        auto other = layer_with_dora<T>(out, in, dropout);
        const auto rows = rows_with(names, name);
        name == base_adapter ? other.unset_adapter() : other.set_adapter(name);
        const Matrix<T> own_x = x(rows, Eigen::all), own_dy = dy(rows, Eigen::all);
        Tape<T> own_tape;
        Matrix<T> own_y, own_dx;
        other.forward(own_x, own_y);
        CHECK(largest_difference(y(rows, Eigen::all), own_y) < 1e-11);
        other.forward(own_x, own_tape, own_y);
        other.backward(own_x, own_dy, own_tape, own_dx);
        CHECK(largest_difference(taped(rows, Eigen::all), own_y) < 1e-11);
        CHECK(largest_difference(dx(rows, Eigen::all), own_dx) < 1e-11);
        if (name == base_adapter || rows.empty()) continue;
        const auto all = layer.parameters({name}), own = other.parameters();
        REQUIRE(all.size() == 3);
        for (std::size_t i = 0; i < all.size(); ++i)
          CHECK(relative_error(all[i]->grad, own[i]->grad) < 1e-11);
      }
    }
}

TEST_CASE("gradients of a mixed batch with DoRA agree with finite differences") {
  auto layer = layer_with_dora<double>(6, 5, 0.3);
  layer.set_train_bias(true);
  const AdapterRoutes routes(dora_names(11));
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
  // The norms are constants in backward, so that of A and B no finite difference is asked; that of
  // "plain" is among all of them.
  for (const char* name : {"m", "n"}) {
    auto* const m = layer.parameters({name})[2];
    CHECK(relative_error(m->grad, finite_difference(m->value, loss)) < 1e-8);
  }
  for (auto* parameter : layer.parameters({"plain"}))
    CHECK(relative_error(parameter->grad, finite_difference(parameter->value, loss)) < 1e-8);
}

TEST_CASE("mixed batches with DoRA have the same bits on any number of threads, and allocate once",
          "[threads]") {
  auto layer = layer_with_dora<float>(300, 280, 0.2);
  const Index n = 70;
  const AdapterRoutes routes(dora_names(n));
  const Matrix<float> x = random_matrix<float>(n, 280, 1), dy = random_matrix<float>(n, 300, 2);
  Matrix<float> y, trained, dx, da, dm;
  Tape<float> tape;
  Gradients<float> gradients(layer.parameters({"m", "n", "plain"}));
  const auto& const_layer = layer;
  layer.set_adapter("m");
  check_repeatable<float>(
      [&] {
        tape.set_random_state({});
        layer.forward(x, routes, y);
        layer.forward(x, routes, tape, trained);
        gradients.zero();
        const_layer.backward(x, dy, tape, gradients, dx);
        da = gradients.of(layer.lora_A());
        dm = gradients.of(layer.lora_magnitude());
      },
      y, trained, dx, da, dm);
}

TEST_CASE("a group's mixed batch with DoRA is what its layers compute alone") {
  using T = double;
  const Index n = 20;
  std::vector<LoRALinear<T>> parts{layer_with_dora<T>(7, 9, 0.3), layer_with_dora<T>(5, 9, 0.3)};
  parts[1].set_name("key");
  // The second part has no DoRA.
  for (const char* name : {"m", "n"}) {
    parts[1].delete_adapter(name);
    parts[1].add_adapter(name, {.rank = 2, .dropout = 0.3}, 5);
  }
  std::vector<LoRALinear<T>> alone = parts;
  LoRALinearGroup<T> group(std::move(parts));
  const Matrix<T> x = random_matrix<T>(n, 9, 1);
  const std::array<Matrix<T>, 2> dy{random_matrix<T>(n, 7, 2), random_matrix<T>(n, 5, 3)};
  std::array<Matrix<T>, 2> y, inferred;
  const AdapterRoutes routes(dora_names(n));
  for (const bool swapped : {false, true}) {
    CAPTURE(swapped);
    Matrix<T> dx, sum = Matrix<T>::Zero(n, 9);
    Tape<T> tape;
    group.forward(x, routes, inferred);
    group.forward(x, routes, tape, y);
    group.backward(x, dy, tape, dx);
    for (const std::size_t p : {0u, 1u}) {
      Tape<T> own_tape;
      Matrix<T> own_y, own_dx;
      alone[p].forward(x, routes, own_y);
      CHECK(largest_difference(inferred[p], own_y) < 1e-12);
      alone[p].forward(x, routes, own_tape, own_y);
      CHECK(largest_difference(y[p], own_y) < 1e-12);
      alone[p].backward(x, dy[p], own_tape, own_dx);
      sum += own_dx;
      const auto of_group = group.part(p).parameters({"m", "n", "plain"}),
                 of_layer = alone[p].parameters({"m", "n", "plain"});
      for (std::size_t i = 0; i < of_group.size(); ++i)
        CHECK(largest_difference(of_group[i]->grad, of_layer[i]->grad) < 1e-11);
    }
    CHECK(largest_difference(dx, sum) < 1e-12);
    // Then DoRA is the second part's too.
    for (auto* layer : {&group.part(1), &alone[1]}) {
      layer->delete_adapter("m");
      layer->add_adapter("m", {.rank = 2, .dropout = 0.3, .use_dora = true}, 6);
      zero_grad(layer->parameters({"m", "n", "plain"}));
    }
  }
}

TEST_CASE("backward refuses magnitudes that have changed since a mixed forward") {
  auto layer = layer_with_dora<float>(4, 3, 0);
  const Matrix<float> x = random_matrix<float>(2, 3, 1), dy = random_matrix<float>(2, 4, 2);
  Matrix<float> y;
  Tape<float> tape;
  layer.forward(x, AdapterRoutes({"m", "plain"}), tape, y);
  layer.parameters({"m"})[2]->value *= 2;
  check_throws<StateError>([&] { layer.backward(x, dy, tape); },
                           "query (LoRALinear::backward): the elements of m");
  CHECK(layer.parameters({"plain"})[1]->grad.isZero(0));
}
