#include <lora/layers/lora_embedding.hpp>

#include <lora/core/scratch.hpp>
#include <lora/frozen/half_weight.hpp>
#include <lora/frozen/mapped_weight.hpp>

#include "contracts/lora_layer.hpp"
#include "support/golden.hpp"

using namespace lora;
using namespace lora::test;

namespace {

constexpr const char* golden_cases[] = {"embedding", "embedding_padding", "embedding_scale",
                                        "embedding_dora"};

std::vector<int> ids_of(const Matrix<double>& numbers) {
  std::vector<int> ids;
  for (Index i = 0; i < numbers.size(); ++i) ids.push_back(static_cast<int>(numbers.data()[i]));
  return ids;
}

// An embedding to be checked as layers of other inputs are: x (N, 1) of numbers in (-1, 1) says
// which of 50 entries is meant, and has no gradient.
class OfNumbers : public LoRAEmbedding<float> {
 public:
  using T = float;
  explicit OfNumbers(LoRAEmbedding<T> layer) : LoRAEmbedding<T>(std::move(layer)) {}

  [[nodiscard]] Index in_features() const { return 1; }
  [[nodiscard]] Index out_features() const { return features(); }

  void forward(ConstMatrixRef<T> x, Output<T> y) const {
    Scratch scratch;
    LoRAEmbedding<T>::forward(ids(x, scratch), y);
  }
  void forward(ConstMatrixRef<T> x, Tape<T>& tape, Output<T> y) const {
    Scratch scratch;
    LoRAEmbedding<T>::forward(ids(x, scratch), tape, y);
  }
  void backward(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, Tape<T>& tape, Output<T> dx) {
    backward(x, dy, tape);
    dx.shaped(x.rows(), 1, "dx", "dx").setZero();
  }
  void backward(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, Tape<T>& tape) {
    Scratch scratch;
    LoRAEmbedding<T>::backward(ids(x, scratch), dy, tape);
  }
  void backward(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, Tape<T>& tape,
                GradientTarget<T> gradients, Output<T> dx) const {
    backward(x, dy, tape, gradients);
    dx.shaped(x.rows(), 1, "dx", "dx").setZero();
  }
  void backward(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, Tape<T>& tape,
                GradientTarget<T> gradients) const {
    Scratch scratch;
    LoRAEmbedding<T>::backward(ids(x, scratch), dy, tape, gradients);
  }

 private:
  static std::span<const int> ids(const ConstMatrixRef<T>& x, Scratch& scratch) {
    int* const to = scratch.take<int>(x.rows());
    for (Index n = 0; n < x.rows(); ++n) to[n] = static_cast<int>(25 * (x(n, 0) + 1));
    return {to, static_cast<std::size_t>(x.rows())};
  }
};

}  // namespace

TEST_CASE("a LoRA embedding computes what PEFT's does, forwards, backwards and merged") {
  for (const char* name : golden_cases) {
    CAPTURE(name);
    const Golden<double> golden(name, "layers");
    EmbeddingSettings settings;
    LoRAConfig config{.rank = golden["a"].rows(), .alpha = 3};
    if (name == golden_cases[1]) {
      config = {.rank = 3, .alpha = 4, .dropout = 0.3, .use_rslora = true};
      settings.padding_idx = 3;
    }
    if (name == golden_cases[2]) {
      config.alpha = 8;
      settings.scale = 2.5;
    }
    if (name == golden_cases[3]) {
      config.use_dora = true;
      settings.scale = 2.5;
    }
    LoRAEmbedding<double> layer(DenseWeight<double>{golden["table"]}, config, 1, settings);
    std::vector<Matrix<double>> values{golden["a"], golden["b"]};
    if (config.use_dora) values.emplace_back(golden["m"].reshaped(1, layer.features()));
    layer.replace_adapter(config, values);
    const std::vector<int> ids = ids_of(golden["ids"]);
    Matrix<double> y, merged;
    Tape<double> tape;
    layer.forward(ids, tape, y);
    CHECK(largest_difference(y, golden["y"]) < 1e-14);
    layer.backward(ids, golden["dy"], tape);
    CHECK(tape.empty());
    CHECK(largest_difference(layer.lora_A().grad, golden["da"]) < 1e-13);
    CHECK(largest_difference(layer.lora_B().grad, golden["db"]) < 1e-13);
    if (config.use_dora) {
      // PEFT's delta is s A^T B^T; what merging adds is another.
      const Matrix<double> added = golden["merged"] - golden["table"];
      CHECK(largest_difference(layer.lora_magnitude().grad.reshaped(layer.features(), 1),
                               golden["dm"].reshaped(layer.features(), 1)) < 1e-13);
      CHECK(largest_difference(layer.delta_weight(), added) < 1e-14);
    } else {
      CHECK(largest_difference(layer.delta_weight(), golden["delta"]) < 1e-14);
    }
    CHECK(largest_difference(layer.merged_weight(), golden["merged"]) < 1e-14);
    CHECK(same_bits(layer.merged_weight(), layer.weight_in_use()));
    layer.merge();
    layer.forward(ids, merged);
    CHECK(largest_difference(merged, y) < 1e-13);
    CHECK(largest_difference(layer.weight().dense(), golden["merged"]) < 1e-14);
    layer.unmerge();
    CHECK(same_bits(layer.weight().dense(), golden["table"]));
  }
}

TEST_CASE("a LoRA embedding keeps the contract of a LoRA layer, as far as ids go", "[threads]") {
  const LoRAConfig config{.rank = 4};
  LoRAEmbedding<float> made(DenseWeight<float>(random_matrix<float>(50, 70, 1)), config, 3,
                            {.scale = 1.5});
  made.lora_A().value = random_matrix<float>(4, 50, 4);
  OfNumbers layer(std::move(made));
  for (const Index n : {1, 80}) {
    check_counts(layer);
    check_second_step_allocates_nothing(layer, n);
    check_thread_independence(layer, n);
    check_outside_gradients(layer, n);
    check_two_threads_train(layer, n);
    check_base_is_left(layer, n);
    check_saved_and_loaded(layer, n);
    check_merge(layer, n);
  }
}

TEST_CASE("an embedding with DoRA begins as the table, and keeps the same contract", "[threads]") {
  const Matrix<float> table = random_matrix<float>(50, 70, 1);
  LoRAEmbedding<float> made(DenseWeight<float>{table}, {.rank = 4, .use_dora = true}, 3);
  CHECK(largest_difference(made.lora_magnitude().value, Matrix<float>(table.colwise().norm())) <
        1e-5);
  CHECK(largest_difference(made.weight_in_use(), table) < 1e-6);
  made.lora_A().value = random_matrix<float>(4, 50, 4);
  OfNumbers layer(std::move(made));
  check_counts(layer);
  for (const Index n : {1, 80}) {
    check_second_step_allocates_nothing(layer, n);
    check_thread_independence(layer, n);
    check_outside_gradients(layer, n);
    check_base_is_left(layer, n);
    check_merge(layer, n);
  }
  layer.lora_magnitude().value *= 2;
  Matrix<float> twice, y;
  const std::vector<int> ids{3, 7};
  layer.LoRAEmbedding<float>::forward(ids, twice);
  layer.lora_magnitude().value /= 2;
  Tape<float> tape;
  layer.LoRAEmbedding<float>::forward(ids, tape, y);
  CHECK(largest_difference(twice, 2 * y) < 1e-5);
  layer.lora_magnitude().value *= 2;
  check_throws<StateError>([&] { layer.LoRAEmbedding<float>::backward(ids, y, tape); },
                           "the elements of m");
  // While merged, the table that delta_weight is a difference to is not there.
  const Matrix<float> delta = layer.delta_weight();
  layer.merge();
  CHECK(largest_difference(layer.weight().matrix(), Matrix<float>(table + delta)) < 1e-5);
  check_throws<StateError>([&] { static_cast<void>(layer.delta_weight()); },
                           "LoRAEmbedding::delta_weight: the adapter has DoRA and is merged");
  layer.unmerge();
  CHECK(same_bits(layer.delta_weight(), delta));
}

TEST_CASE("gradients of a LoRA embedding agree with finite differences") {
  LoRAEmbedding<double> layer(DenseWeight<double>(random_matrix<double>(6, 9, 1)), {.rank = 3}, 3,
                              {.scale = 0.5});
  layer.lora_A().value = random_matrix<double>(3, 6, 4);
  const std::vector<int> ids{5, 0, 5, 2, 2, 5};
  const Matrix<double> c = random_matrix<double>(6, 9, 5);
  Matrix<double> y;
  const auto loss = [&] {
    layer.forward(ids, y);
    return (y.array() * c.array()).sum();
  };
  Tape<double> tape;
  layer.forward(ids, tape, y);
  layer.backward(ids, c, tape);
  for (Parameter<double>* parameter : layer.parameters())
    CHECK(relative_error(parameter->grad, finite_difference(parameter->value, loss)) < 1e-6);
  CHECK(layer.lora_A().grad.col(1).isZero(0));  // no token asked for it
}

TEST_CASE("a LoRA embedding works over any storage whose rows can be read") {
  const Matrix<float> table = random_matrix<float>(20, 8, 1), a = random_matrix<float>(2, 20, 2);
  const std::vector<int> ids{3, 19, 0, 3};
  const auto check = [&](auto storage) {
    using Storage = decltype(storage);
    const Matrix<float> dense = storage.dense();
    LoRAEmbedding<float, Storage> layer(std::move(storage), {.rank = 2}, 1);
    Matrix<float> y;
    layer.forward(ids, y);
    for (Index n = 0; n < 4; ++n) CHECK(same_bits(y.row(n), dense.row(ids[std::size_t(n)])));
    layer.lora_A().value = a;
    const Matrix<float> merged = layer.merged_weight();
    layer.forward(ids, y);
    for (Index n = 0; n < 4; ++n)
      CHECK(largest_difference(y.row(n), merged.row(ids[std::size_t(n)])) <=
            Tolerance<float>(2, 4).value);
  };
  check(HalfWeight<float>(table));
  check(MappedWeight<float>(table.data(), 20, 8));
  LoRAEmbedding<float, MappedWeight<float>> mapped(MappedWeight<float>(table.data(), 20, 8),
                                                   {.rank = 2}, 1);
  check_throws<StateError>([&] { mapped.merge(); }, "the table's memory is read-only");
}

TEST_CASE("what does not fit a LoRA embedding is refused by name, before anything changes") {
  const DenseWeight<float> table(random_matrix<float>(20, 8, 1));
  using Embedding = LoRAEmbedding<float>;
  check_throws<ConfigError>([&] { Embedding(table, {.rank = 2, .train_bias = true}, 1); },
                            "LoRAEmbedding: train_bias is set, but an embedding has no bias");
  check_throws<ConfigError>([&] { Embedding(table, {.rank = 2, .freeze_a = true}, 1); },
                            "freeze_a is set, which only linear layers have");
  check_throws<ConfigError>([&] { Embedding(table, {.padding_idx = 20}); },
                            "padding_idx is 20, expected an entry in [0, 20)");
  check_throws<ConfigError>([&] { Embedding(table, {.scale = std::nan("")}); }, "scale is nan");

  Embedding layer(table, {.rank = 2}, 1);
  layer.set_name("embed_tokens");
  std::vector<int> ids{3, 20};
  Matrix<float> y;
  Tape<float> tape;
  const std::string bad = "id 1 is 20, expected an entry in [0, 20)";
  check_throws<ShapeError>([&] { layer.forward(ids, y); },
                           "embed_tokens (LoRAEmbedding::forward): " + bad);
  check_throws<ShapeError>([&] { layer.forward(ids, tape, y); }, bad);
  CHECK(tape.empty());
  CHECK(y.size() == 0);
  ids[1] = 7;
  layer.forward(ids, tape, y);
  const Matrix<float> dy = random_matrix<float>(2, 8, 2);
  const std::vector<int> others{3, 8};
  check_throws<StateError>([&] { layer.backward(others, dy, tape); },
                           "embed_tokens (LoRAEmbedding::backward): the ids are not those");
  check_throws<ShapeError>([&] { layer.backward(ids, dy.leftCols(7), tape); }, "dy is (2, 7)");
  layer.lora_B().value *= 2;
  check_throws<StateError>([&] { layer.backward(ids, dy, tape); }, "the elements of B");
  CHECK(layer.lora_B().grad.isZero(0));
  tape.clear();
  check_throws<ShapeError>(
      [&] {
        layer.replace_adapter({.rank = 2}, {dy, dy});
      },
      "a is (2, 8), expected (rank = 2, entries = 20)");
  check_throws<ShapeError>([&] { layer.replace_adapter({.rank = 2}, {dy}); }, "1 values");
  check_throws<ShapeError>(
      [&] {
        layer.replace_adapter({.rank = 2, .use_dora = true},
                              {layer.lora_A().value, layer.lora_B().value});
      },
      "2 values, expected A and B, and the magnitudes");
}
