#include <lora/layers/dora.hpp>

#include <limits>

#include <lora/core/thread_limit.hpp>
#include <lora/frozen/int8_weight.hpp>
#include <lora/frozen/mapped_weight.hpp>
#include <lora/frozen/packed_weight.hpp>
#include <lora/layers/lora_linear_group.hpp>

#include "contracts/lora_layer.hpp"

using namespace lora;
using namespace lora::test;

namespace {

template <class T, class Frozen = DenseWeight<T>>
LoRALinear<T, Frozen> dora_layer(Index out, Index in, LoRAConfig config) {
  config.use_dora = true;
  const Vector<T> bias = random_matrix<T>(out, 1, 7).col(0);
  LoRALinear<T, Frozen> layer(Frozen(random_matrix<T>(out, in, 8)), config, 9, bias);
  layer.lora_B().value = random_matrix<T>(out, config.rank, 10);
  return layer;
}

// What a step computes in double, with the norms as they are given: PEFT's formula.
struct Definition {
  Matrix<double> w, a, b, m, n, bias, mask;  // mask: factors of x
  double s;

  [[nodiscard]] Matrix<double> sum() const { return w + s * b * a; }
  [[nodiscard]] Matrix<double> norms() const { return sum().rowwise().norm().transpose(); }

  [[nodiscard]] Matrix<double> forward(const Matrix<double>& x) const {
    const Matrix<double> dropped = x.cwiseProduct(mask);
    const Matrix<double> g = m.cwiseQuotient(n);
    Matrix<double> y = (x - dropped) * w.transpose();
    y += (dropped * sum().transpose()) * g.row(0).asDiagonal();
    y.rowwise() += bias.row(0);
    return y;
  }
};

template <class Layer>
Definition definition_of(const Layer& layer, Index n, bool training) {
  const auto& adapter = layer.adapter();
  Definition d{layer.weight().dense(),
               adapter.a().value,
               adapter.b().value,
               adapter.magnitude().value,
               {},
               layer.bias().value,
               Matrix<double>::Ones(n, layer.in_features()),
               layer.scaling()};
  d.n = d.norms();
  if (const auto mask = adapter.dropout_mask(0); mask && training)
    for (Index i = 0; i < n; ++i) mask->fill(i, 0, d.mask.cols(), &d.mask(i, 0));
  return d;
}

}  // namespace

TEST_CASE("DoRA computes its definition, and a gradient of each factor with the norms constant") {
  for (const double dropout : {0.0, 0.4})
    for (const Index n : {1, 7, 70}) {
      CAPTURE(dropout, n);
      auto layer = dora_layer<double>(13, 9, {.rank = 3, .alpha = 2, .dropout = dropout});
      layer.lora_magnitude().value.array() *= 1.5;
      const Matrix<double> x = random_matrix<double>(n, 9, 1), c = random_matrix<double>(n, 13, 2);
      Matrix<double> y, dx;
      layer.forward(x, y);
      CHECK(largest_difference(y, definition_of(layer, n, false).forward(x)) < 1e-12);

      Tape<double> tape;
      layer.forward(x, tape, y);
      Definition d = definition_of(layer, n, true);
      CHECK(largest_difference(y, d.forward(x)) < 1e-12);
      layer.backward(x, c, tape, dx);
      Matrix<double> varied = x;
      const auto loss = [&] { return (d.forward(varied).array() * c.array()).sum(); };
      CHECK(relative_error(dx, finite_difference(varied, loss)) < 1e-6);
      CHECK(relative_error(layer.lora_A().grad, finite_difference(d.a, loss)) < 1e-6);
      CHECK(relative_error(layer.lora_B().grad, finite_difference(d.b, loss)) < 1e-6);
      CHECK(relative_error(layer.lora_magnitude().grad, finite_difference(d.m, loss)) < 1e-6);
      CHECK(layer.parameters().size() == 3);
    }
}

TEST_CASE("a layer with DoRA keeps the contract of LoRA layers") {
  check_lora_layer(dora_layer<float>(37, 21, {.rank = 4}), 19);
  check_lora_layer(dora_layer<float, PackedWeight<float>>(67, 40, {.rank = 4}), 70);
}

TEST_CASE("a layer with DoRA and dropout keeps the contract of layers that train") {
  auto layer = dora_layer<float>(37, 21, {.rank = 4, .dropout = 0.3});
  check_callers_memory(layer, 19);
  check_second_step_allocates_nothing(layer, 19);
  check_thread_independence(layer, 19);
  check_two_threads_train(layer, 19);
}

TEST_CASE("a new adapter with DoRA is the base model, and its magnitudes the norms of W's rows") {
  LoRALinear<float> layer(DenseWeight<float>(random_matrix<float>(20, 30, 1)),
                          {.rank = 2, .use_dora = true}, 3);
  CHECK(largest_difference(layer.lora_magnitude().value,
                           layer.weight().matrix().rowwise().norm().transpose()) < 1e-5);
  layer.set_name("block.fc");
  CHECK(layer.lora_magnitude().name == "block.fc.lora_magnitude_vector.weight");
  CHECK(layer.lora_magnitude().shape() == std::vector<Index>{20});
  const Matrix<float> x = random_matrix<float>(5, 30, 2);
  Matrix<float> y, off;
  layer.forward(x, y);
  layer.disable_adapter();
  layer.forward(x, off);
  CHECK(same_bits(y, off));
}

TEST_CASE("magnitudes that an adapter lacks start at the norms of W + s B A") {
  auto layer = dora_layer<float>(8, 6, {.rank = 2});
  const Matrix<float> a = random_matrix<float>(2, 6, 3), b = random_matrix<float>(8, 2, 4);
  LoRALinear<float> plain(DenseWeight<float>(layer.weight().matrix()), {.rank = 2}, 1);
  plain.replace_adapter({.rank = 2}, a, b);
  layer.replace_adapter({.rank = 2, .use_dora = true}, a, b);
  CHECK(largest_difference(layer.lora_magnitude().value,
                           plain.merged_weight().rowwise().norm().transpose()) < 1e-5);
  CHECK(largest_difference(layer.merged_weight(), plain.merged_weight()) < 1e-5);
  layer.add_adapter("second", LoRAAdapter<float>({.rank = 2, .use_dora = true}, a, b));
  layer.set_adapter("second");
  CHECK(layer.lora_magnitude().size() == 8);
  layer.replace_adapter({.rank = 2, .use_dora = true}, a, b, Matrix<float>::Constant(1, 8, 2));
  CHECK(layer.lora_magnitude().value(0, 3) == 2);
  // Another adapter of the same layer may be a plain one.
  layer.add_adapter("plain", {.rank = 1}, 4);
  layer.set_adapter("plain");
  CHECK(layer.parameters().size() == 2);
}

TEST_CASE("magnitudes that do not fit are refused") {
  auto layer = dora_layer<float>(8, 6, {.rank = 2});
  const Matrix<float> a = random_matrix<float>(2, 6, 3), b = random_matrix<float>(8, 2, 4);
  const Matrix<float> before = layer.merged_weight();
  check_throws<ShapeError>(
      [&] {
        layer.replace_adapter({.rank = 2, .use_dora = true}, a, b, Matrix<float>::Ones(1, 7));
      },
      "magnitude");
  check_throws<ConfigError>(
      [&] { layer.replace_adapter({.rank = 2}, a, b, Matrix<float>::Ones(1, 8)); }, "use_dora");
  check_throws<ConfigError>(
      [&] { LoRAAdapter<float>({.rank = 2}, a, b, Matrix<float>::Ones(1, 8)); }, "use_dora");
  CHECK(same_bits(layer.merged_weight(), before));
}

TEST_CASE("backward refuses magnitudes that were changed since the forward") {
  auto layer = dora_layer<float>(8, 6, {.rank = 2});
  const Matrix<float> x = random_matrix<float>(3, 6, 1), dy = random_matrix<float>(3, 8, 2);
  Matrix<float> y, dx;
  Tape<float> tape;
  layer.forward(x, tape, y);
  layer.lora_magnitude().value *= 2;
  check_throws<StateError>([&] { layer.backward(x, dy, tape, dx); }, "m");
  CHECK(dx.size() == 0);
}

TEST_CASE("a row of norm 0 stays 0, and is refused where it has a magnitude") {
  Matrix<float> w = random_matrix<float>(5, 4, 1);
  w.row(2).setZero();
  LoRALinear<float> layer(DenseWeight<float>(w), {.rank = 2, .use_dora = true}, 3);
  layer.set_name("block.fc");
  const Matrix<float> x = random_matrix<float>(3, 4, 1);
  Matrix<float> y, untouched = Matrix<float>::Constant(1, 1, 5);
  layer.forward(x, y);
  CHECK(y.col(2).isZero(0));
  CHECK(y.allFinite());
  layer.lora_magnitude().value(0, 2) = 1;
  Tape<float> tape;
  const char* expected = "row 2 of W + s B A is zero";
  check_throws<StateError>([&] { layer.forward(x, untouched); }, expected);
  check_throws<StateError>([&] { layer.forward(x, tape, untouched); }, "block.fc");
  check_throws<StateError>([&] { layer.merge(); }, expected);
  check_throws<StateError>([&] { static_cast<void>(layer.merged_weight()); }, expected);
  CHECK(tape.empty());
  CHECK(untouched.size() == 1);
  CHECK(!layer.merged());
  CHECK(same_bits(layer.weight().matrix(), w));
}

TEST_CASE("what merging adds is delta_weight with DoRA too") {
  auto layer = dora_layer<float>(8, 6, {.rank = 2});
  const Matrix<float> w = layer.weight().matrix(), delta = layer.delta_weight();
  CHECK(largest_difference(Matrix<float>(w + delta), layer.merged_weight()) < 1e-6);
  const Matrix<float> in_use = layer.weight_in_use(), merged = layer.merged_weight();
  CHECK(same_bits(in_use, merged));
  layer.merge();
  CHECK(same_bits(layer.weight().matrix(), merged));
  // The W that it is a difference to is not there meanwhile.
  layer.set_name("block.fc");
  check_throws<StateError>([&] { static_cast<void>(layer.delta_weight()); },
                           "block.fc (LoRALinear::delta_weight): the adapter has DoRA and is "
                           "merged");
  layer.unmerge();
  CHECK(same_bits(layer.weight().matrix(), w));
  CHECK(same_bits(layer.delta_weight(), delta));
}

TEST_CASE("a group computes parts with DoRA as they do alone") {
  for (const double dropout : {0.0, 0.3}) {
    CAPTURE(dropout);
    std::vector<LoRALinear<float>> parts;
    parts.push_back(dora_layer<float>(40, 21, {.rank = 4, .dropout = dropout}));
    parts.emplace_back(DenseWeight<float>(random_matrix<float>(30, 21, 4)), LoRAConfig{.rank = 3},
                       5);
    parts.push_back(dora_layer<float>(37, 21, {.rank = 2, .dropout = dropout}));
    for (std::size_t p = 0; p < 3; ++p) parts[p].set_name("part" + std::to_string(p));
    auto alone = parts;
    LoRALinearGroup<float> group(parts);
    const Matrix<float> x = random_matrix<float>(33, 21, 1);
    std::vector<Matrix<float>> y(3),
        dy{random_matrix<float>(33, 40, 2), random_matrix<float>(33, 30, 3),
           random_matrix<float>(33, 37, 4)};
    Matrix<float> dx, sum = Matrix<float>::Zero(33, 21);
    Tape<float> tape;
    group.forward(x, tape, y);
    group.backward(x, dy, tape, dx);
    for (std::size_t p = 0; p < 3; ++p) {
      Matrix<float> own, part;
      Tape<float> apart;
      alone[p].forward(x, apart, own);
      CHECK(largest_difference(own, y[p]) < 1e-4);
      alone[p].backward(x, dy[p], apart, part);
      sum += part;
      const auto theirs = group.part(p).parameters(), ours = alone[p].parameters();
      REQUIRE(theirs.size() == ours.size());
      for (std::size_t i = 0; i < ours.size(); ++i)
        CHECK(largest_difference(theirs[i]->grad, ours[i]->grad) < 1e-3);
    }
    CHECK(largest_difference(dx, sum) < 1e-3);
    group.forward(x, y);
    Matrix<float> own;
    alone[2].forward(x, own);
    CHECK(largest_difference(own, y[2]) < 1e-4);
  }
}

TEST_CASE("DoRA over a weight in codes divides by the norms of the numbers that they stand for") {
  const Int8Weight<float> weight(random_matrix<float>(24, 70, 1));
  LoRALinear<float, Int8Weight<float>> layer(weight, {.rank = 3, .use_dora = true}, 3);
  layer.lora_B().value = random_matrix<float>(24, 3, 4);
  const Matrix<float> x = random_matrix<float>(20, 70, 2), merged = layer.merged_weight();
  Matrix<float> y;
  layer.forward(x, y);
  CHECK(largest_difference(merged.rowwise().norm().transpose(), layer.lora_magnitude().value) <
        1e-4);
  CHECK(largest_difference(y, Matrix<float>(x * merged.transpose())) < 1e-3);
}
