#include <lora/layers/lora_multihead_attention.hpp>

#include <stdexcept>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/finite_difference.hpp"
#include "support/random_matrix.hpp"
#include "support/threads.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

namespace {

using SelfAttention = LoRAMultiheadAttention<double>;
using Projection = LoRALinear<double>;

constexpr Index embedding = 6;

Projection make_projection(Index out, Index in, const LoRAConfig& config, std::uint64_t seed) {
  Projection layer(DenseWeight<double>{random_matrix<double>(out, in, seed)}, config, seed,
                   random_matrix<double>(out, 1, seed + 1).col(0));
  layer.lora_B().value = random_matrix<double>(out, config.rank, seed + 2);
  return layer;
}

SelfAttention make_self_attention(const LoRAConfig& config = {.rank = 2},
                                  const MultiheadAttentionConfig& settings = {.heads = 2}) {
  SelfAttention layer(make_projection(3 * embedding, embedding, config, 1),
                      make_projection(embedding, embedding, config, 5), settings);
  layer.set_name("attn");
  return layer;
}

const std::vector<int> token_counts{4, 2};

}  // namespace

TEST_CASE(
    "multi-head attention is its projections around an attention, out_proj's update doubled") {
  SelfAttention layer = make_self_attention();
  CHECK(layer.part(0).name() == "attn");
  CHECK(layer.part(1).name() == "attn.base_layer.out_proj");
  const Sequences sequences = Sequences::packed(token_counts);
  const Matrix<double> x = random_matrix<double>(6, embedding, 9);
  Matrix<double> y, qkv, context(6, embedding), expected;
  layer.forward(x, sequences, y);
  layer.part(0).forward(x, qkv);
  const Matrix<double> q = qkv.leftCols(embedding), k = qkv.middleCols(embedding, embedding),
                       v = qkv.rightCols(embedding);
  Attention<double>({.heads = 2, .head_features = 3}).forward(q, k, v, sequences, context);
  const auto& out = layer.part(1);
  const Matrix<double> w =
      out.weight().dense() + 2 * out.config().scaling() * out.lora_B().value * out.lora_A().value;
  expected = (context * w.transpose()).rowwise() + out.bias().value.row(0);
  CHECK(largest_difference(y, expected) < 1e-13);
  for (std::size_t p = 0; p < 2; ++p) layer.part(p).merge();
  Matrix<double> merged;
  layer.forward(x, sequences, merged);
  CHECK(largest_difference(merged, expected) < 1e-13);
  Tape<double> tape;
  check_throws<StateError>([&] { layer.forward(x, sequences, tape, y); },
                           "an adapter is merged: unmerge() both parts first");
  CHECK(tape.empty());
}

TEST_CASE("every gradient of multi-head attention agrees with finite differences") {
  for (const bool causal : {false, true}) {
    SelfAttention layer =
        make_self_attention({.rank = 2, .dropout = causal ? 0.3 : 0.0},
                            {.heads = 3, .causal = causal, .dropout = causal ? 0.2 : 0.0});
    const Sequences sequences = Sequences::packed(token_counts);
    Matrix<double> x = random_matrix<double>(6, embedding, 9), y, dx, outside;
    const Matrix<double> c = random_matrix<double>(6, embedding, 10);
    Tape<double> tape;
    const auto state = tape.random_state();
    const auto loss = [&] {
      Tape<double> fresh;
      fresh.set_random_state(state);
      layer.forward(x, sequences, fresh, y);
      return (y.array() * c.array()).sum();
    };
    zero_grad(layer.parameters());
    layer.forward(x, sequences, tape, y);
    layer.backward(x, sequences, c, tape, dx);
    CHECK(tape.empty());
    CHECK(relative_error(dx, finite_difference(x, loss)) < 1e-6);
    for (Parameter<double>* parameter : layer.parameters()) {
      CAPTURE(parameter->name);
      CHECK(relative_error(parameter->grad, finite_difference(parameter->value, loss)) < 1e-6);
    }
    Gradients<double> gradients(layer.parameters());
    const SelfAttention& constant = layer;
    tape.set_random_state(state);
    constant.forward(x, sequences, tape, y);
    constant.backward(x, sequences, c, tape, gradients, outside);
    CHECK(same_bits(outside, dx));
    CHECK(same_bits(gradients.of(layer.part(1).lora_B()), layer.part(1).lora_B().grad));
  }
}

TEST_CASE("a second step of multi-head attention allocates nothing") {
  SelfAttention layer = make_self_attention();
  const Sequences sequences = Sequences::packed(token_counts);
  const Matrix<double> x = random_matrix<double>(6, embedding, 9),
                       dy = random_matrix<double>(6, embedding, 8);
  Matrix<double> y, dx;
  Tape<double> tape;
  const auto step = [&] {
    layer.forward(x, sequences, y);
    layer.forward(x, sequences, tape, y);
    layer.backward(x, sequences, dy, tape, dx);
  };
  const Threads threads(1);
  step();
  if (!kernels::blas_multiplies) CHECK(allocations_of(step).count == 0);
}

TEST_CASE("adapters of multi-head attention are added and chosen in both projections") {
  SelfAttention layer = make_self_attention();
  const Sequences sequences = Sequences::packed(token_counts);
  const Matrix<double> x = random_matrix<double>(6, embedding, 9);
  Matrix<double> before, base, y;
  layer.forward(x, sequences, before);
  layer.add_adapter("other", {.rank = 3}, 4);
  CHECK(layer.part(0).config().rank == 3);
  CHECK(layer.part(1).scaling() == 2 * layer.part(1).config().scaling());
  layer.forward(x, sequences, base);  // whose B is zero
  for (std::size_t p = 0; p < 2; ++p) layer.part(p).disable_adapter();
  layer.forward(x, sequences, y);
  CHECK(largest_difference(y, base) < 1e-13);
  for (std::size_t p = 0; p < 2; ++p) layer.part(p).enable_adapter();
  layer.set_adapter("default");
  layer.forward(x, sequences, y);
  CHECK(same_bits(y, before));
}

TEST_CASE("an adapter that one projection refuses changes neither") {
  const auto check_unchanged = [](SelfAttention& layer, const auto& change, const char* says) {
    const auto in_proj = layer.part(0).adapters(), out_proj = layer.part(1).adapters();
    check_throws<std::logic_error>(change, says);
    CHECK(layer.part(0).adapters() == in_proj);
    CHECK(layer.part(1).adapters() == out_proj);
  };
  SelfAttention layer = make_self_attention();
  layer.part(0).add_adapter("in", {.rank = 2}, 1);
  layer.part(1).add_adapter("out", {.rank = 2}, 1);
  for (const char* name : {"in", "out"}) {
    check_unchanged(
        layer, [&] { layer.add_adapter(name, {.rank = 2}, 1); }, "already");
    check_unchanged(
        layer, [&] { layer.set_adapter(name); }, "there is no adapter called");
  }
  check_unchanged(
      layer, [&] { layer.add_adapter("__base__", {.rank = 2}, 1); }, "routes rows");
  check_unchanged(
      layer, [&] { layer.add_adapter("new", {.rank = 2, .init = LoRAInit::pissa}, 1); }, "pissa");
  layer.part(1).merge();
  check_unchanged(
      layer, [&] { layer.add_adapter("new", {.rank = 2}, 1); }, "unmerge() first");
  check_unchanged(
      layer, [&] { layer.set_adapter("default"); }, "unmerge() first");
}

TEST_CASE("out_proj's factor is every adapter's, whoever adds and activates it") {
  SelfAttention layer = make_self_attention();
  auto& out = layer.part(1);
  CHECK(layer.out_proj_factor() == 2);
  out.set_scale(0.5);
  CHECK(out.scaling() == out.config().scaling());
  const LoRAConfig config{.rank = 1, .alpha = 1};
  out.add_adapter("own",
                  {config, Matrix<double>::Ones(1, embedding), Matrix<double>::Ones(embedding, 1)});
  const Matrix<double> x = Matrix<double>::Ones(1, embedding);
  Matrix<double> base, y;
  out.forward(x, AdapterRoutes({base_adapter}), base);
  out.forward(x, AdapterRoutes({"own"}), y);
  CHECK((y - base).isApproxToConstant(2 * embedding, 1e-13));
  out.set_adapter("own");
  CHECK(out.scaling() == 2);
  out.delete_adapter("default");
  check_throws<StateError>([&] { out.require_splittable("here"); }, "update 2 times");
  const SelfAttention copy = layer;
  CHECK(copy.part(1).scaling() == 2);
}

TEST_CASE("what does not fit multi-head attention is refused by name") {
  const LoRAConfig config{.rank = 2};
  check_throws<ShapeError>(
      [&] {
        SelfAttention(make_projection(2 * embedding, embedding, config, 1),
                      make_projection(embedding, embedding, config, 2), {});
      },
      "in_proj is (12, 6) and out_proj (6, 6), expected (3 E, E) and (E, E)");
  check_throws<ConfigError>([&] { make_self_attention(config, {.heads = 4}); },
                            "heads is 4, expected a divisor of E = 6");
  check_throws<ConfigError>([&] { make_self_attention({.rank = 2, .use_dora = true}); },
                            "use_dora is set, which PEFT does not have");
  SelfAttention layer = make_self_attention();
  check_throws<ConfigError>([&] { layer.add_adapter("b", {.train_bias = true}, 1); },
                            "attn (LoRAMultiheadAttention::add_adapter): train_bias is set");
  // PEFT adds out_proj's b_B twice and in_proj's never.
  check_throws<ConfigError>([&] { layer.add_adapter("b", {.lora_bias = true}, 1); },
                            "attn (LoRAMultiheadAttention::add_adapter): lora_bias is set");
  CHECK(layer.part(0).adapter_names().size() == 1);
  for (std::size_t p = 0; p < 2; ++p) {
    check_throws<ConfigError>([&] { layer.part(p).set_train_bias(true); },
                              "(LoRALinear::set_train_bias): the bias would train, which PEFT");
    layer.part(p).set_train_bias(false);
    CHECK(!layer.part(p).trains_bias());
  }
  check_throws<ConfigError>(
      [&] {
        auto trains = make_projection(embedding, embedding, config, 2);
        trains.set_train_bias(true);
        SelfAttention(make_projection(3 * embedding, embedding, config, 1), std::move(trains), {});
      },
      "LoRAMultiheadAttention: the bias would train, which PEFT does not have");
  // Whoever loads asks the projections themselves.
  for (std::size_t p = 0; p < 2; ++p) {
    check_throws<ConfigError>([&] { layer.part(p).check_replace({.rank = 2, .lora_bias = true}); },
                              "lora_bias is set, which PEFT does not have");
    check_throws<ConfigError>(
        [&] { layer.part(p).add_adapter("b", {.rank = 2, .use_dora = true}, 1); },
        "use_dora is set, which PEFT does not have");
  }
  const Sequences sequences = Sequences::packed(token_counts);
  Matrix<double> x = random_matrix<double>(6, embedding, 9), y, dx;
  check_throws<ShapeError>([&] { layer.forward(x.topRows(5), sequences, y); },
                           "x is (5, 6), expected (rows of the sequences = 6, E = 6)");
  check_throws<ShapeError>([&] { layer.forward(x, sequences, x); }, "y");
  Tape<double> tape;
  check_throws<StateError>([&] { layer.backward(x, sequences, x, tape, dx); }, "tape is empty");
  layer.forward(x, sequences, tape, y);
  x(0, 0) += 1;
  check_throws<StateError>([&] { layer.backward(x, sequences, y, tape, dx); }, "attn");
  CHECK(layer.part(1).lora_B().grad.isZero(0));
}
