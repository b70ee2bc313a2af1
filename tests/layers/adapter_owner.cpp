#include <lora/layers/adapter_owner.hpp>
#include <lora/layers/lora_linear.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <thread>
#include <type_traits>
#include <vector>

#include <lora/core/thread_limit.hpp>

#include "support/naive_lora.hpp"
#include "support/random_matrix.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

namespace {

using Layer = LoRALinear<float>;
using Names = std::vector<std::string>;

Layer frozen_layer(Index out = 6, Index in = 5) {
  Layer layer(DenseWeight<float>(random_matrix<float>(out, in, 1)),
              random_matrix<float>(out, 1, 2));
  layer.set_name("encoder.query");
  return layer;
}

// An adapter whose B is not zero.
LoRAAdapter<float> adapter(Index rank, std::uint64_t seed, Index out = 6, Index in = 5) {
  return {LoRAConfig{.rank = rank, .alpha = 3}, random_matrix<float>(rank, in, seed),
          random_matrix<float>(out, rank, seed + 1)};
}

Matrix<float> output(const Layer& layer, ConstMatrixRef<float> x) {
  Matrix<float> y;
  layer.forward(x, y);
  return y;
}

}  // namespace

TEST_CASE("a layer without an adapter is its frozen weight, and says so where one is needed") {
  Layer layer = frozen_layer();
  const Matrix<float> x = random_matrix<float>(7, 5, 3), dy = random_matrix<float>(7, 6, 4);
  Matrix<double> expected = x.cast<double>() * layer.weight().matrix().cast<double>().transpose();
  expected.rowwise() += layer.bias().value.cast<double>().row(0);
  CHECK(largest_difference(output(layer, x), expected) <= Tolerance<float>(5, 2).value);

  CHECK_FALSE(layer.has_adapter());
  CHECK_FALSE(layer.active_adapter().has_value());
  CHECK(layer.adapter_names().empty());
  CHECK(layer.parameters().empty());
  CHECK(layer.trainable_parameters() == 0);
  CHECK(layer.total_parameters() == 36);
  CHECK(layer.bias().name == "encoder.query.bias");
  check_throws<StateError>([&] { static_cast<void>(layer.rank()); },
                           "encoder.query (LoRALinear::rank): no adapter is active: add_adapter");
  CHECK_THROWS_AS(layer.config(), StateError);
  CHECK_THROWS_AS(layer.scaling(), StateError);
  CHECK_THROWS_AS(layer.lora_A(), StateError);
  CHECK_THROWS_AS(std::as_const(layer).lora_B(), StateError);
  CHECK_THROWS_AS(layer.set_scale(2), StateError);
  CHECK_THROWS_AS(layer.replace_adapter(adapter(2, 1)), StateError);
  CHECK_THROWS_AS(layer.merge(), StateError);
  CHECK_THROWS_AS(layer.merged_weight(), StateError);
  CHECK_NOTHROW(layer.disable_adapter());

  // Its bias may train, and dx passes through.
  layer.set_train_bias(true);
  REQUIRE(layer.parameters().size() == 1);
  CHECK(layer.trainable_parameters() == 6);
  Tape<float> tape;
  Matrix<float> y, dx;
  layer.forward(x, tape, y);
  layer.backward(random_matrix<float>(7, 5, 9), dy, tape, dx);  // elements of x do not matter
  CHECK(largest_difference(dx, dy * layer.weight().matrix()) <= Tolerance<float>(6).value);
  CHECK(largest_difference(layer.bias().grad, dy.colwise().sum()) <= Tolerance<float>(7).value);
  Layer bare(DenseWeight<float>(random_matrix<float>(2, 2, 1)));
  CHECK_THROWS_AS(bare.set_train_bias(true), ConfigError);
}

TEST_CASE("a layer has several adapters by name, one of them active") {
  Layer layer = frozen_layer();
  const Matrix<float> x = random_matrix<float>(7, 5, 3);
  const Matrix<float> base = output(layer, x);
  const auto with = [&](const LoRAAdapter<float>& used) {
    return naive_lora(x, layer.weight().matrix(), layer.bias().value, used.a().value,
                      used.b().value, used.config().scaling());
  };
  const LoRAAdapter<float> one = adapter(2, 10), two = adapter(4, 20);
  layer.add_adapter("one", one);
  CHECK(layer.active_adapter() == "one");
  CHECK(layer.bias().name == "encoder.query.base_layer.bias");
  CHECK(layer.lora_A().name == "encoder.query.lora_A.weight");
  layer.add_adapter("two", two);
  CHECK(layer.adapter_names() == Names{"one", "two"});
  CHECK(layer.rank() == 2);
  CHECK(largest_difference(output(layer, x), with(one)) <= Tolerance<float>(7, 9).value);
  layer.set_adapter("two");
  CHECK(layer.rank() == 4);
  CHECK(layer.trainable_parameters() == 44);
  CHECK(layer.total_parameters() == 36 + 22 + 44);
  CHECK(largest_difference(output(layer, x), with(two)) <= Tolerance<float>(9, 9).value);
  layer.set_scale(0);
  CHECK(largest_difference(output(layer, x), base) <= Tolerance<float>(5, 2).value);
  layer.set_adapter("one");
  CHECK(layer.scaling() == 1.5);  // the other's factor is its own
  layer.unset_adapter();
  CHECK(same_bits(output(layer, x), base));
  layer.set_adapter("two");
  layer.delete_adapter("two");
  CHECK_FALSE(layer.has_adapter());
  CHECK(same_bits(output(layer, x), base));
  check_throws<ConfigError>([&] { layer.set_adapter("two"); },
                            "encoder.query (LoRALinear::set_adapter): there is no adapter called "
                            "\"two\", only \"one\"");
  layer.add_adapter("new", {.rank = 3, .alpha = 6}, 5);
  layer.set_adapter("new");
  CHECK(layer.scaling() == 2);
  CHECK(layer.lora_B().value.isZero(0));
}

TEST_CASE("adapters that do not fit are refused, and then nothing has changed") {
  Layer layer = frozen_layer();
  layer.add_adapter("one", adapter(2, 10));
  check_throws<ShapeError>([&] { layer.add_adapter("two", adapter(2, 20, 6, 4)); },
                           "encoder.query (LoRALinear::add_adapter): a is (2, 4), expected (rank = "
                           "2, in_features = 5)");
  check_throws<ShapeError>([&] { layer.replace_adapter(adapter(2, 20, 7, 5)); },
                           "b is (7, 2), expected (out_features = 6, rank = 2)");
  CHECK_THROWS_AS(layer.add_adapter("one", adapter(2, 20)), ConfigError);
  CHECK_THROWS_AS(layer.add_adapter("two", {.rank = 0}, 1), ConfigError);
  CHECK(layer.adapter_names() == Names{"one"});
  Layer bare(DenseWeight<float>(random_matrix<float>(2, 2, 1)));
  CHECK_THROWS_AS(bare.add_adapter("one", {.rank = 1, .train_bias = true}, 1), ConfigError);
  CHECK_FALSE(bare.has_adapter());
}

TEST_CASE("a bias trains with one adapter alone, for the others would compute with it") {
  Layer layer(DenseWeight<float>(random_matrix<float>(6, 5, 1)), {.rank = 2, .train_bias = true}, 1,
              Vector<float>::Ones(6));
  check_throws<ConfigError>([&] { layer.add_adapter("two", {.rank = 2, .train_bias = true}, 2); },
                            "train_bias is set");
  layer.add_adapter("two", {.rank = 2}, 2);
  layer.set_adapter("two");
  CHECK_THROWS_AS(layer.replace_adapter({.rank = 1, .train_bias = true}, Matrix<float>::Ones(1, 5),
                                        Matrix<float>::Ones(6, 1)),
                  ConfigError);
  CHECK(layer.rank() == 2);
}

TEST_CASE("a copy of a layer has adapters of its own, and a moved layer keeps its") {
  Layer layer = frozen_layer();
  layer.add_adapter("one", adapter(2, 10));
  Layer copy = layer;
  copy.lora_A().value.setZero();
  CHECK(layer.lora_A().value.norm() > 0);
  CHECK(copy.name() == "encoder.query");
  const Parameter<float>* const a = &layer.lora_A();
  Layer moved = std::move(layer);
  CHECK(&moved.lora_A() == a);
  layer = moved;
  CHECK(&layer.lora_A() != a);
  STATIC_REQUIRE(std::is_nothrow_move_constructible_v<Layer>);
}

TEST_CASE("whoever keeps a set keeps its adapters alive") {
  Layer layer = frozen_layer();
  layer.add_adapter("one", adapter(2, 10));
  const auto before = layer.adapters();
  layer.replace_adapter(adapter(3, 20));
  CHECK(before->active()->adapter->rank() == 2);
  CHECK(before->active()->adapter->a().value.norm() > 0);
  CHECK(layer.rank() == 3);
}

TEST_CASE("two layers of one seed and different names draw different dropout masks") {
  const Matrix<float> w = Matrix<float>::Zero(1, 60), x = Matrix<float>::Ones(1, 60);
  const auto trained_output = [&](const char* name) {
    Layer layer(DenseWeight<float>(w), {.rank = 1, .dropout = 0.5}, 7);
    layer.lora_B().value.setOnes();
    layer.set_name(name);
    Tape<float> tape;
    Matrix<float> y;
    layer.forward(x, tape, y);
    return y(0, 0);
  };
  CHECK(trained_output("a") == trained_output("a"));
  CHECK(trained_output("a") != trained_output("b"));
}

TEST_CASE("eight threads compute while adapters are replaced, and see whole ones", "[threads]") {
  Layer layer = frozen_layer(40, 30);
  const Matrix<float> x = random_matrix<float>(9, 30, 3);
  std::vector<LoRAAdapter<float>> adapters;
  std::vector<Matrix<float>> known{output(layer, x)};
  for (std::size_t i = 0; i < 3; ++i) {
    adapters.push_back(adapter(static_cast<Index>(2 + 3 * i), 10 * (i + 1), 40, 30));
    Layer alone = frozen_layer(40, 30);
    alone.add_adapter("one", adapters.back());
    known.push_back(output(alone, x));
    alone.set_scale(2);
    known.push_back(output(alone, x));
  }
  layer.add_adapter("one", adapters[0]);

  std::atomic<bool> stop{false};
  std::array<bool, 8> right{};
  {
    std::array<std::jthread, 8> readers;
    for (std::size_t i = 0; i < readers.size(); ++i)
      readers[i] = std::jthread([&, i] {
        const ThreadLimit limit(1);
        Matrix<float> y;
        bool all = true;
        while (!stop) {
          layer.forward(x, y);
          all = all && std::any_of(known.begin(), known.end(),
                                   [&](const Matrix<float>& one) { return same_bits(y, one); });
          static_cast<void>(layer.adapter_names());
        }
        right[i] = all;
      });
    for (int repeat = 0; repeat < 40; ++repeat) {
      layer.replace_adapter(adapters[static_cast<std::size_t>(repeat) % 3]);
      layer.disable_adapter();
      layer.enable_adapter();
      layer.set_scale(repeat % 2 == 0 ? 2 : 1);
      layer.add_adapter("two", adapters[1]);
      layer.set_adapter("two");
      layer.delete_adapter("one");
      layer.add_adapter("one", adapters[2]);
      layer.set_adapter("one");
      layer.delete_adapter("two");
    }
    stop = true;
  }
  for (const bool all : right) CHECK(all);
}
