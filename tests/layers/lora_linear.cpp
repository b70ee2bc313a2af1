#include <lora/layers/lora_linear.hpp>

#include <rapidcheck.h>

#include <array>
#include <thread>

#include <lora/core/thread_limit.hpp>
#include <lora/frozen/mapped_weight.hpp>
#include <lora/frozen/packed_weight.hpp>

#include "contracts/lora_layer.hpp"
#include "support/naive_lora.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::test;

namespace {

// A layer whose B is not zero, so that every path carries numbers.
template <class T>
LoRALinear<T> make_layer(Index out, Index in, const LoRAConfig& config, bool with_bias = true) {
  Vector<T> bias;
  if (with_bias) bias = random_matrix<T>(out, 1, 7).col(0);
  LoRALinear<T> layer(DenseWeight<T>(random_matrix<T>(out, in, 8)), config, 9, bias);
  layer.lora_B().value = random_matrix<T>(out, config.rank, 10);
  return layer;
}

}  // namespace

TEMPLATE_TEST_CASE("forward is x W^T + b + s x A^T B^T", "", float, double) {
  using T = TestType;
  for (const Index n : {Index{0}, Index{1}, Index{7}, Index{65}})
    for (const auto& [out, in, rank] :
         {std::array<Index, 3>{5, 3, 2}, {31, 17, 40}, {130, 300, 8}, {1, 1, 1}})
      for (const bool with_bias : {false, true}) {
        CAPTURE(n, out, in, rank, with_bias);
        const auto layer =
            make_layer<T>(out, in, {.rank = rank, .alpha = 3, .dropout = 0.5}, with_bias);
        const Matrix<T> x = random_matrix<T>(n, in, 1);
        const Matrix<double> expected =
            naive_lora(x, layer.weight().matrix(), layer.bias().value, layer.lora_A().value,
                       layer.lora_B().value, 3.0 / static_cast<double>(rank));
        Matrix<T> y;
        layer.forward(x, y);
        CHECK(largest_difference(y, expected) <= Tolerance<T>(in + rank, 3).value);
      }
}

TEST_CASE("every gradient agrees with finite differences, over random shapes") {
  const bool held = rc::check("gradients", [] {
    const auto n = *rc::gen::inRange<Index>(1, 12), in = *rc::gen::inRange<Index>(1, 20),
               out = *rc::gen::inRange<Index>(1, 20), rank = *rc::gen::inRange<Index>(1, 25);
    const LoRAConfig config{.rank = rank,
                            .alpha = *rc::gen::inRange(1, 9),
                            .dropout = *rc::gen::element(0.0, 0.3),
                            .use_rslora = *rc::gen::arbitrary<bool>(),
                            .init = *rc::gen::element(LoRAInit::kaiming, LoRAInit::gaussian),
                            .train_bias = *rc::gen::arbitrary<bool>()};
    auto layer = make_layer<double>(out, in, config);
    check_gradients(layer, n, *rc::gen::arbitrary<std::uint64_t>());
  });
  CHECK(held);
}

TEST_CASE("gradients agree across the tiles of the dropout path") {
  // More rows than a tile holds; more columns need a sum over tiles in forward.
  auto layer = make_layer<double>(4, 9, {.rank = 3, .dropout = 0.4});
  check_gradients(layer, 70, 1);
  auto wide = make_layer<double>(2, 300, {.rank = 2, .dropout = 0.4});
  check_gradients(wide, 3, 2);
}

TEST_CASE("gradients agree with the adapter rescaled and switched off") {
  auto layer = make_layer<double>(5, 4, {.rank = 2, .alpha = 3});
  layer.set_scale(-0.5);
  check_gradients(layer, 6, 1);
  layer.disable_adapter();
  Matrix<double> x = random_matrix<double>(3, 4, 1), y, dx;
  const Matrix<double> dy = random_matrix<double>(3, 5, 2);
  Tape<double> tape;
  layer.forward(x, tape, y);
  layer.backward(x, dy, tape, dx);
  CHECK(largest_difference(dx, dy * layer.weight().matrix()) <= Tolerance<double>(5).value);
  CHECK(layer.lora_A().grad.isZero(0));
  CHECK(layer.lora_B().grad.isZero(0));
}

TEMPLATE_TEST_CASE("LoRALinear keeps the contract of a LoRA layer over every storage", "[threads]",
                   DenseWeight<float>, DenseWeight<double>, PackedWeight<float>,
                   PackedWeight<double>, MappedWeight<float>) {
  using T = typename TestType::Scalar;
  const Matrix<T> w = random_matrix<T>(130, 300, 1);
  for (const double dropout : {0.0, 0.2}) {
    constexpr bool mapped = std::is_same_v<TestType, MappedWeight<T>>;
    LoRALinear<T, TestType> layer(
        [&] {
          if constexpr (mapped)
            return TestType(w.data(), 130, 300);
          else
            return TestType(w);
        }(),
        {.rank = 4, .dropout = dropout, .train_bias = true}, 2, Vector<T>::Ones(130));
    layer.lora_B().value = random_matrix<T>(130, 4, 3);
    check_lora_layer<!mapped>(layer, 70);
    check_second_step_allocates_nothing(layer, 1);
    check_thread_independence(layer, 1);
  }
}

TEST_CASE("a new layer is its frozen weight, bit for bit, whatever A is") {
  for (const LoRAInit init : {LoRAInit::kaiming, LoRAInit::gaussian}) {
    const Matrix<float> w = random_matrix<float>(40, 30, 1), x = random_matrix<float>(9, 30, 2);
    const LoRALinear<float> layer(DenseWeight<float>(w), {.rank = 4, .init = init}, 3);
    CHECK(layer.lora_A().value.norm() > 0);
    CHECK(layer.lora_B().value.isZero(0));
    Matrix<float> y, base = Matrix<float>::Zero(9, 40);
    layer.forward(x, y);
    layer.weight().add_product(x, base);
    CHECK(same_bits(y, base));
  }
}

TEST_CASE("A starts as in PEFT: within 1 / sqrt(in), or with deviation 1 / rank") {
  const Matrix<float> w = Matrix<float>::Zero(3, 400);
  const LoRALinear<float> kaiming(DenseWeight<float>(w), {.rank = 50}, 1);
  CHECK(kaiming.lora_A().value.cwiseAbs().maxCoeff() < 0.05F);
  CHECK(kaiming.lora_A().value.cwiseAbs().maxCoeff() > 0.0499F);
  const LoRALinear<double> gaussian_layer(DenseWeight<double>(w.cast<double>()),
                                          {.rank = 50, .init = LoRAInit::gaussian}, 1);
  const auto& a = gaussian_layer.lora_A().value;
  const double variance = a.squaredNorm() / static_cast<double>(a.size());
  CHECK(std::abs(variance * 2500 - 1) < 5 * std::sqrt(2.0 / static_cast<double>(a.size())));
}

TEST_CASE("merged equals unmerged, and unmerge gives back the bits, over random shapes") {
  const bool held = rc::check("merge", [] {
    const auto n = *rc::gen::inRange<Index>(1, 12), in = *rc::gen::inRange<Index>(1, 40),
               out = *rc::gen::inRange<Index>(1, 40), rank = *rc::gen::inRange<Index>(1, 50);
    auto layer = make_layer<float>(out, in, {.rank = rank, .alpha = 5});
    const Matrix<float> x = random_matrix<float>(n, in, 1), w = layer.weight().matrix();
    Matrix<float> apart, merged, after;
    layer.forward(x, apart);
    const Matrix<float> by_itself = layer.merged_weight();
    layer.merge();
    RC_ASSERT(layer.merged());
    RC_ASSERT(same_bits(by_itself, layer.weight().matrix()));
    RC_ASSERT(same_bits(by_itself, layer.merged_weight()));
    layer.forward(x, merged);
    RC_ASSERT(largest_difference(apart, merged) <= Tolerance<float>(in + rank, 5).value);
    layer.unmerge();
    RC_ASSERT(same_bits(w, layer.weight().matrix()));
    layer.forward(x, after);
    RC_ASSERT(same_bits(apart, after));
  });
  CHECK(held);
}

TEST_CASE("while merged, what would go wrong is refused") {
  auto layer = make_layer<float>(4, 3, {.rank = 2});
  const Matrix<float> x = random_matrix<float>(2, 3, 1), dy = random_matrix<float>(2, 4, 2);
  Matrix<float> y, dx;
  Tape<float> tape;
  CHECK_THROWS_AS(layer.unmerge(), StateError);
  layer.forward(x, tape, y);
  layer.merge();
  CHECK_THROWS_AS(layer.merge(), StateError);
  CHECK_THROWS_AS(layer.forward(x, tape, y), StateError);
  CHECK_THROWS_AS(layer.backward(x, dy, tape, dx), StateError);
  CHECK_THROWS_AS(layer.set_scale(2), StateError);
  CHECK_THROWS_AS(layer.disable_adapter(), StateError);
  CHECK_THROWS_AS(layer.replace_adapter({.rank = 1}, Matrix<float>(1, 3), Matrix<float>(4, 1)),
                  StateError);
  layer.unmerge();
  layer.disable_adapter();
  CHECK_THROWS_AS(layer.merge(), StateError);
  layer.enable_adapter();
  layer.merge(MergeMode::permanent);
  CHECK_THROWS_AS(layer.unmerge(), StateError);
  CHECK_NOTHROW(layer.forward(x, y));
}

TEST_CASE("merging into memory borrowed for reading is refused, and a merged copy can be had") {
  Matrix<float> w = random_matrix<float>(4, 3, 1);
  const Matrix<float> kept = w;
  LoRALinear<float, MappedWeight<float>> layer(MappedWeight<float>(w.data(), 4, 3), {.rank = 2}, 1);
  layer.lora_B().value = random_matrix<float>(4, 2, 2);
  CHECK_THROWS_AS(layer.merge(), StateError);
  CHECK_FALSE(layer.merged());
  CHECK(same_bits(w, kept));
  const Matrix<float> expected = w + 2.0F * layer.lora_B().value * layer.lora_A().value;
  CHECK(largest_difference(layer.merged_weight(), expected) <= Tolerance<float>(2, 4).value);

  // Memory that was handed over as writable takes the merge, in either layout.
  Matrix<float> wt = w.transpose();
  LoRALinear<float, MappedWeight<float>> writable(
      MappedWeight<float>::writable(wt.data(), 4, 3, Layout::column_major), {.rank = 2}, 1);
  writable.lora_B().value = layer.lora_B().value;
  writable.merge();
  CHECK(largest_difference(wt.transpose(), expected) <= Tolerance<float>(2, 4).value);
  writable.unmerge();
  CHECK(same_bits(wt.transpose(), kept));
}

TEST_CASE("the adapter can be switched off, on, and rescaled") {
  auto layer = make_layer<double>(5, 4, {.rank = 2, .alpha = 6});
  const Matrix<double> x = random_matrix<double>(3, 4, 1);
  Matrix<double> on, off, half, again;
  layer.forward(x, on);
  CHECK(layer.scaling() == 3);
  layer.set_scale(0.5);
  CHECK(layer.scaling() == 1.5);
  layer.forward(x, half);
  layer.set_scale(1);
  layer.disable_adapter();
  CHECK_FALSE(layer.adapter_enabled());
  layer.forward(x, off);
  layer.enable_adapter();
  layer.forward(x, again);
  CHECK(same_bits(on, again));
  CHECK(largest_difference(half, 0.5 * (on + off)) <= Tolerance<double>(6, 9).value);
  CHECK_THROWS_AS(layer.set_scale(std::nan("")), ConfigError);
  CHECK(layer.scaling() == 3);
}

TEST_CASE("dropout masks the low-rank path alone, in training alone, by a mask that recurs") {
  const double p = 0.4;
  auto layer = make_layer<float>(6, 300, {.rank = 3, .alpha = 3, .dropout = p});
  const Matrix<float> x = random_matrix<float>(70, 300, 1);
  Matrix<float> y, first, second, replay;
  Tape<float> tape;
  layer.forward(x, y);
  const auto state = tape.random_state();
  layer.forward(x, tape, first);
  layer.forward(x, tape, second);
  CHECK_FALSE(same_bits(first, second));
  tape.set_random_state(state);
  layer.forward(x, tape, replay);
  CHECK(same_bits(first, replay));
  Tape<float> other_stream(1);
  layer.forward(x, other_stream, replay);
  CHECK_FALSE(same_bits(first, replay));

  // With A = 0 nothing is left to mask: dropout never touches the frozen path.
  layer.lora_A().value.setZero();
  Matrix<float> base;
  layer.forward(x, base);
  layer.forward(x, tape, first);
  CHECK(same_bits(first, base));

  // The mean over many masks is the output without dropout: 5 standard errors.
  auto small = make_layer<double>(1, 8, {.rank = 1, .alpha = 1, .dropout = p});
  const Matrix<double> one = random_matrix<double>(1, 8, 4);
  Matrix<double> out, mean = Matrix<double>::Zero(1, 1), square = mean, without;
  small.forward(one, without);
  Tape<double> many;
  constexpr int count = 20000;
  for (int i = 0; i < count; ++i) {
    many.clear();
    small.forward(one, many, out);
    mean += out / count;
    square += out.cwiseAbs2() / count;
  }
  const double deviation = std::sqrt((square(0, 0) - mean(0, 0) * mean(0, 0)) / count);
  CHECK(deviation > 0);
  CHECK(std::abs(mean(0, 0) - without(0, 0)) < 5 * deviation);
}

TEST_CASE("the mask of the dropout path is DropoutMask's, with dropped inputs left out") {
  // Tile boundaries: 64 rows, 256 columns.
  const Index n = 130, in = 520, out = 3;
  const double p = 0.25;
  auto layer = make_layer<float>(out, in, {.rank = 2, .alpha = 2, .dropout = p});
  layer.set_name("encoder.query");
  const Matrix<float> x = random_matrix<float>(n, in, 1);
  Tape<float> tape;
  Matrix<float> y;
  layer.forward(x, tape, y);
  Matrix<float> mask(n, in);
  const DropoutMask expected_mask(Random(9, RandomStream::dropout, substream_of(layer.name())), 0,
                                  p, in);
  for (Index i = 0; i < n; ++i) expected_mask.fill(i, 0, in, mask.row(i).data());
  const Matrix<double> expected = naive_lora(x, layer.weight().matrix(), layer.bias().value,
                                             layer.lora_A().value, layer.lora_B().value, 1, mask);
  CHECK(largest_difference(y, expected) <= Tolerance<float>(in, 2).value);
}

TEST_CASE("settings and shapes that do not fit are refused by the constructor") {
  const auto make = [](const LoRAConfig& config, Index bias) {
    return LoRALinear<float>(DenseWeight<float>(Matrix<float>::Zero(4, 3)), config, 1,
                             Vector<float>::Zero(bias));
  };
  CHECK_THROWS_AS(make({.rank = 0}, 0), ConfigError);
  CHECK_THROWS_AS(make({.rank = -1}, 0), ConfigError);
  CHECK_THROWS_AS(make({.dropout = 1}, 0), ConfigError);
  CHECK_THROWS_AS(make({.alpha = std::nan("")}, 0), ConfigError);
  CHECK_THROWS_AS(make({.train_bias = true}, 0), ConfigError);
  CHECK_THROWS_AS(make({}, 3), ShapeError);
  CHECK_NOTHROW(make({.rank = 100}, 4));  // above min(in, out), as in PEFT
}

TEST_CASE("parameters are counted and named as in PEFT") {
  auto layer = make_layer<float>(7, 5, {.rank = 3, .train_bias = true});
  CHECK(layer.trainable_parameters() == 3 * 12 + 7);
  CHECK(layer.total_parameters() == 35 + 7 + 36);
  CHECK(count_parameters(layer.parameters()) == layer.trainable_parameters());
  layer.set_name("encoder.query");
  const auto list = layer.parameters();
  REQUIRE(list.size() == 3);
  CHECK(list[0]->name == "encoder.query.lora_A.weight");
  CHECK(list[1]->name == "encoder.query.lora_B.weight");
  CHECK(list[2]->name == "encoder.query.base_layer.bias");
  auto frozen_bias = make_layer<float>(7, 5, {.rank = 3});
  CHECK(frozen_bias.parameters().size() == 2);
  CHECK(frozen_bias.trainable_parameters() == 36);
}

TEST_CASE("replacing the adapter may change the rank, and keeps everything when it fails") {
  auto layer = make_layer<float>(4, 3, {.rank = 2, .alpha = 2});
  const Matrix<float> a = layer.lora_A().value;
  layer.set_scale(0.5);
  CHECK_THROWS_AS(layer.replace_adapter({.rank = 3}, Matrix<float>(2, 3), Matrix<float>(4, 3)),
                  ShapeError);
  CHECK_THROWS_AS(layer.replace_adapter({.rank = 3}, Matrix<float>(3, 3), Matrix<float>(3, 3)),
                  ShapeError);
  CHECK_THROWS_AS(layer.replace_adapter({.rank = 0}, Matrix<float>(0, 3), Matrix<float>(4, 0)),
                  ConfigError);
  CHECK(same_bits(a, layer.lora_A().value));
  CHECK(layer.scaling() == 0.5);

  Tape<float> tape;
  Matrix<float> y;
  const Matrix<float> x = random_matrix<float>(2, 3, 1), dy = random_matrix<float>(2, 4, 2);
  layer.forward(x, tape, y);
  layer.replace_adapter({.rank = 3, .alpha = 12}, random_matrix<float>(3, 3, 1),
                        random_matrix<float>(4, 3, 2));
  CHECK(layer.rank() == 3);
  CHECK(layer.scaling() == 2);
  CHECK_THROWS_AS(layer.backward(x, dy, tape), StateError);
  tape.clear();
  layer.forward(x, tape, y);
  CHECK_NOTHROW(layer.backward(x, dy, tape));
}

TEST_CASE("backward runs in the reverse order of forward, one layer as often as it likes") {
  auto one = make_layer<double>(4, 4, {.rank = 2, .dropout = 0.5});
  auto two = make_layer<double>(4, 4, {.rank = 2});
  const Matrix<double> x = random_matrix<double>(3, 4, 1), dy = random_matrix<double>(3, 4, 2);
  Matrix<double> y, z;
  Tape<double> tape;
  one.forward(x, tape, y);
  two.forward(y, tape, z);
  CHECK_THROWS_AS(one.backward(x, dy, tape), StateError);
  two.backward(y, dy, tape);
  one.backward(x, dy, tape);
  CHECK(tape.empty());
  one.forward(x, tape, y);
  one.forward(y, tape, z);
  one.backward(y, dy, tape);
  one.backward(x, dy, tape);
  CHECK(tape.empty());
}

TEST_CASE("backward refuses a layer that is not as it was in forward, naming it and the change") {
  auto layer = make_layer<float>(4, 3, {.rank = 2});
  layer.set_name("encoder.query");
  const Matrix<float> x = random_matrix<float>(5, 3, 1), dy = random_matrix<float>(5, 4, 2);
  Matrix<float> y, dx;
  Tape<float> tape;
  // Tries a backward after `change`; the forward stays on the tape, and works after `back`.
  const auto check_refused = [&](const auto& change, const auto& back, const std::string& said) {
    layer.forward(x, tape, y);
    change();
    const std::string where = "encoder.query (LoRALinear::backward): ";
    check_throws<StateError>([&] { layer.backward(x, dy, tape, dx); }, where + said);
    CHECK(layer.lora_A().grad.isZero(0));
    back();
    tape.clear();
  };
  check_refused([&] { layer.set_scale(5); }, [&] { layer.set_scale(1); },
                "the scaling was 2 and is 10");
  check_refused([&] { layer.disable_adapter(); }, [&] { layer.enable_adapter(); },
                "the adapter \"default\" was switched off");
  check_refused(
      [&] {
        layer.replace_adapter({.rank = 2}, Matrix<float>::Ones(2, 3), Matrix<float>::Ones(4, 2));
      },
      [] {}, "the adapter \"default\" was replaced: its rank was 2 and is 2");
  layer.add_adapter("other", {.rank = 2}, 3);
  check_refused([&] { layer.set_adapter("other"); }, [&] { layer.set_adapter("default"); },
                "the adapter \"default\" was active and \"other\" is now");
  layer.disable_adapter();
  check_refused([&] { layer.enable_adapter(); }, [] {}, "the adapter \"default\" was switched on");

  // An optimizer's step in between changes what backward computes with.
  check_refused([&] { layer.lora_B().value.array() += 1; },
                [&] { layer.lora_B().value.array() -= 1; }, "the elements of B are not those");
  check_refused([&] { layer.lora_A().value *= 2; }, [&] { layer.lora_A().value /= 2; },
                "the elements of A are not those");

  // Changes that are taken back, or that no forward saw, do no harm.
  layer.forward(x, tape, y);
  layer.set_scale(3);
  layer.set_scale(1);
  layer.delete_adapter("other");
  CHECK_NOTHROW(layer.backward(x, dy, tape, dx));
}

TEST_CASE("backward refuses another x than that of its forward, where x matters") {
  auto layer = make_layer<float>(4, 3, {.rank = 2});
  layer.set_name("encoder.query");
  Matrix<float> x = random_matrix<float>(5, 3, 1);
  const Matrix<float> other = random_matrix<float>(5, 3, 9), dy = random_matrix<float>(5, 4, 2);
  Matrix<float> y, dx;
  Tape<float> tape;
  layer.forward(x, tape, y);
  check_throws<StateError>([&] { layer.backward(other, dy, tape, dx); },
                           "encoder.query (LoRALinear::backward): x lies elsewhere");
  x = other;
  check_throws<StateError>([&] { layer.backward(x, dy, tape, dx); },
                           "encoder.query (LoRALinear::backward): the elements of x are not those");
  CHECK(layer.lora_A().grad.isZero(0));
  CHECK_FALSE(tape.empty());
}

TEST_CASE("outputs may be memory of the caller's, and may not be inputs") {
  auto layer = make_layer<float>(4, 4, {.rank = 2});
  layer.set_name("fc");
  const Matrix<float> x = random_matrix<float>(5, 4, 1), dy = random_matrix<float>(5, 4, 2);
  Matrix<float> y, dx, wide = Matrix<float>::Zero(5, 20), z = x, d = dy;
  Tape<float> tape;
  layer.forward(x, tape, y);
  layer.backward(x, dy, tape, dx);
  layer.forward(x, wide.middleCols(4, 4));
  CHECK(same_bits(wide.middleCols(4, 4), y));
  layer.forward(x, tape, wide.leftCols(4));
  CHECK(same_bits(wide.leftCols(4), y));
  layer.backward(x, dy, tape, wide.rightCols(4));
  CHECK(same_bits(wide.rightCols(4), dx));
  CHECK(wide.middleCols(8, 8).isZero(0));
  check_throws<ShapeError>([&] { layer.forward(x, wide.leftCols(5)); },
                           "fc (LoRALinear::forward): y is (5, 5), expected (5, 4)");

  check_throws<ShapeError>([&] { layer.forward(z, z); },
                           "fc (LoRALinear::forward): y overlaps an input");
  CHECK_THROWS_AS(layer.forward(z, tape, z), ShapeError);
  CHECK(tape.empty());
  layer.forward(x, tape, y);
  check_throws<ShapeError>([&] { layer.backward(x, d, tape, d); },
                           "fc (LoRALinear::backward): dx overlaps an input");
  CHECK_THROWS_AS(layer.backward(z, dy, tape, z), StateError);  // not the forward's x at all
  CHECK(same_bits(z, x));
  CHECK(same_bits(d, dy));
  layer.backward(x, d, tape, dx);

  // Of other sizes, where resizing would free what is read.
  auto tall = make_layer<float>(9, 4, {.rank = 2});
  CHECK_THROWS_AS(tall.forward(z, z), ShapeError);
  CHECK(same_bits(z, x));
  tall.forward(x, tape, y);
  Matrix<float> dy_tall = random_matrix<float>(5, 9, 3);
  CHECK_THROWS_AS(tall.backward(x, dy_tall, tape, dy_tall), ShapeError);
  CHECK(dy_tall.cols() == 9);
}

TEST_CASE("messages name the layer, the call and the columns") {
  auto layer = make_layer<float>(8, 3, {.rank = 2});
  layer.set_name("encoder.layer.7.value");
  Matrix<float> y, dx;
  const Matrix<float> x = random_matrix<float>(3, 3, 1);
  Tape<float> tape;
  check_throws<ShapeError>([&] { layer.forward(random_matrix<float>(3, 5, 1), y); },
                           "encoder.layer.7.value (LoRALinear::forward): x is (3, 5), expected (N, "
                           "in_features = 3)");
  layer.forward(x, tape, y);
  check_throws<ShapeError>([&] { layer.backward(x, random_matrix<float>(3, 4, 1), tape, dx); },
                           "encoder.layer.7.value (LoRALinear::backward): dy is (3, 4), expected "
                           "(N = 3, out_features = 8)");
  check_throws<StateError>(
      [&] { layer.unmerge(); },
      "encoder.layer.7.value (LoRALinear::unmerge): the adapter is not merged");
  check_throws<ConfigError>([&] { layer.set_scale(std::nan("")); },
                            "encoder.layer.7.value (LoRALinear::set_scale): factor is nan");
}

TEST_CASE("layers over one memory unmerge in the reverse order of merging, or not at all") {
  Matrix<float> w = random_matrix<float>(6, 5, 1);
  const Matrix<float> start = w;
  using Mapped = LoRALinear<float, MappedWeight<float>>;
  std::vector<Mapped> layers;
  for (const std::uint64_t seed : {std::uint64_t{2}, std::uint64_t{3}}) {
    layers.emplace_back(MappedWeight<float>::writable(w.data(), 6, 5), LoRAConfig{.rank = 2}, seed);
    layers.back().lora_B().value = random_matrix<float>(6, 2, seed + 10);
    layers.back().set_name(seed == 2 ? "embed" : "decode");
  }
  layers[0].merge();
  const Matrix<float> one_merged = w;
  layers[1].merge();
  const Matrix<float> both_merged = w;
  check_throws<StateError>([&] { layers[0].unmerge(); },
                           "embed (LoRALinear::unmerge): the weight is not what merge() left");
  CHECK(same_bits(w, both_merged));
  layers[1].unmerge();
  CHECK(same_bits(w, one_merged));
  layers[0].unmerge();
  CHECK(same_bits(w, start));
}

TEST_CASE("unload gives the frozen weight and bias back, merged if they were") {
  auto layer = make_layer<float>(6, 5, {.rank = 2});
  const Matrix<float> w = layer.weight().matrix(), merged = layer.merged_weight();
  const Matrix<float> bias = layer.bias().value;
  auto copy = layer;
  auto plain = std::move(copy).unload();
  CHECK(same_bits(plain.weight.matrix(), w));
  CHECK(same_bits(plain.bias.transpose(), bias));
  layer.merge(MergeMode::permanent);
  CHECK(same_bits(std::move(layer).unload().weight.matrix(), merged));
  LoRALinear<float> bare(DenseWeight<float>(Matrix<float>::Zero(4, 3)));
  CHECK(std::move(bare).unload().bias.size() == 0);
}

TEST_CASE("the merged weight is written into memory of the caller's") {
  auto layer = make_layer<float>(6, 5, {.rank = 2});
  Matrix<float> wide = Matrix<float>::Zero(6, 7);
  layer.merged_weight(wide.leftCols(5));
  CHECK(same_bits(wide.leftCols(5), layer.merged_weight()));
  CHECK(wide.rightCols(2).isZero(0));
  CHECK_THROWS_AS(layer.merged_weight(wide.leftCols(4)), ShapeError);
  // What the sum is made of is no place for it.
  auto square = make_layer<float>(4, 4, {.rank = 4});
  const Matrix<float> a = square.lora_A().value;
  CHECK_THROWS_AS(square.merged_weight(MatrixRef<float>(square.lora_A().value)), ShapeError);
  CHECK(same_bits(Matrix<float>(square.lora_A().value), a));
  layer.disable_adapter();
  CHECK_THROWS_AS(layer.merged_weight(), StateError);
}

TEST_CASE("factors that were exchanged for others of another shape are refused") {
  auto layer = make_layer<float>(4, 3, {.rank = 2});
  layer.set_name("fc");
  const Matrix<float> x = random_matrix<float>(5, 3, 1);
  Matrix<float> y;
  Tape<float> tape;
  layer.lora_A() = Parameter<float>("fc.lora_A.weight", random_matrix<float>(3, 3, 1));
  check_throws<ShapeError>([&] { layer.forward(x, y); },
                           "fc (LoRALinear::forward): a is (3, 3), expected (rank = 2");
  CHECK_THROWS_AS(layer.forward(x, tape, y), ShapeError);
  CHECK_THROWS_AS(layer.merge(), ShapeError);
  CHECK_THROWS_AS(layer.merged_weight(), ShapeError);
  CHECK(y.size() == 0);
}

TEST_CASE("parameters own their list") {
  auto layer = make_layer<float>(4, 3, {.rank = 2});
  ParameterList<float> list = layer.parameters();
  REQUIRE(list.size() == 2);
  CHECK(list[0] == &layer.lora_A());
  CHECK(list[1] == &layer.lora_B());
}

TEST_CASE("two threads train one layer, their gradients summed in a fixed order", "[threads]") {
  constexpr std::size_t threads = 2, steps = 6;
  auto layer = make_layer<float>(40, 30, {.rank = 4, .dropout = 0.2, .train_bias = true});
  std::vector<Matrix<float>> x, dy;
  for (std::size_t i = 0; i < threads * steps; ++i) {
    x.push_back(random_matrix<float>(9, 30, 100 + i));
    dy.push_back(random_matrix<float>(9, 40, 200 + i));
  }
  // What thread t does: its steps on its own tape.
  const auto work = [&](const LoRALinear<float>& shared, Gradients<float>& gradients,
                        std::size_t t) {
    const ThreadLimit limit(1);
    Tape<float> tape(t);
    Matrix<float> y, dx;
    for (std::size_t i = t * steps; i < (t + 1) * steps; ++i) {
      shared.forward(x[i], tape, y);
      if (i % 2 == 0)
        shared.backward(x[i], dy[i], tape, gradients, dx);
      else
        shared.backward(x[i], dy[i], tape, gradients);
    }
  };
  std::vector<Gradients<float>> together(threads, Gradients<float>(layer.parameters()));
  auto alone = together;
  {
    std::vector<std::jthread> running;
    for (std::size_t t = 0; t < threads; ++t)
      running.emplace_back([&, t] { work(layer, together[t], t); });
  }
  for (std::size_t t = 0; t < threads; ++t) work(layer, alone[t], t);
  for (const Parameter<float>* parameter : layer.parameters()) {
    CHECK(parameter->grad.isZero(0));
    for (std::size_t t = 0; t < threads; ++t) {
      CHECK(together[t].of(*parameter).norm() > 0);
      CHECK(same_bits(together[t].of(*parameter), alone[t].of(*parameter)));
    }
  }
  for (const Gradients<float>& each : together) each.add_to(layer.parameters());
  const Matrix<float> sum = layer.lora_A().grad;
  zero_grad(layer.parameters());
  for (const Gradients<float>& each : alone) each.add_to(layer.parameters());
  CHECK(same_bits(layer.lora_A().grad, sum));

  // Gradients of parameters that are no more are refused, before anything changes.
  Tape<float> tape;
  Matrix<float> y, dx = Matrix<float>::Ones(1, 1);
  layer.replace_adapter({.rank = 4}, Matrix<float>::Ones(4, 30), Matrix<float>::Ones(40, 4));
  layer.forward(x[0], tape, y);
  CHECK_THROWS_AS(layer.backward(x[0], dy[0], tape, together[0], dx), StateError);
  CHECK(dx.size() == 1);
  CHECK_FALSE(tape.empty());
}

TEST_CASE("two threads share a layer", "[threads]") {
  const auto layer = make_layer<float>(300, 200, {.rank = 8});
  const Matrix<float> x = random_matrix<float>(64, 200, 1);
  Matrix<float> alone;
  layer.forward(x, alone);
  std::array<Matrix<float>, 4> results;
  {
    std::array<std::jthread, 4> threads;
    for (std::size_t i = 0; i < 4; ++i)
      threads[i] = std::jthread([&, i] {
        for (int repeat = 0; repeat < 20; ++repeat) layer.forward(x, results[i]);
      });
  }
  for (const auto& y : results) CHECK(same_bits(y, alone));
}

TEST_CASE("every gradient agrees with finite differences over packed and mapped weights") {
  for (const Index n : {Index{1}, Index{5}, Index{19}})
    for (const Index rank : {Index{1}, Index{3}, Index{20}})
      for (const double dropout : {0.0, 0.4}) {
        CAPTURE(n, rank, dropout);
        const Matrix<double> w = random_matrix<double>(11, 17, 1), wt = w.transpose();
        const LoRAConfig config{.rank = rank, .dropout = dropout};
        LoRALinear<double, PackedWeight<double>> packed(PackedWeight<double>(w), config, 2);
        LoRALinear<double, MappedWeight<double>> mapped(
            MappedWeight<double>(wt.data(), 11, 17, Layout::column_major), config, 2);
        packed.lora_B().value = mapped.lora_B().value = random_matrix<double>(11, rank, 3);
        check_gradients(packed, n, 4);
        check_gradients(mapped, n, 4);
      }
}
