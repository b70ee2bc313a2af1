#include <lora/models/bert/bert_layer.hpp>

#include <type_traits>

#include <lora/frozen/dense_weight.hpp>
#include <lora/frozen/packed_weight.hpp>
#include <lora/models/bert/bert_source.hpp>

#include "models/bert/golden_bert.hpp"
#include "support/catch.hpp"
#include "support/finite_difference.hpp"
#include "support/random_matrix.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;
using models::ReadRows;
using models::TokenRows;

// Else the vector of layers would copy frozen weights when it grows.
static_assert(std::is_nothrow_move_constructible_v<models::BertLayer<float, PackedWeight<float>>>);

TEST_CASE("a layer for the first tokens computes their rows, and the gradient of all tokens") {
  using Layer = models::BertLayer<double, DenseWeight<double>>;
  const models::BertSource<double> source(bert_data("tiny"), with_dropout_of(0.2), {});
  auto builder = source.builder(3), again = source.builder(3);
  const Layer whole(builder, source.config, "encoder.layer.0", ReadRows::all);
  const Layer first(again, source.config, "encoder.layer.0", ReadRows::first);
  const models::PackedBatch batch(GoldenBatch().tokens);
  const TokenRows all{&batch, ReadRows::all}, some{&batch, ReadRows::first};
  const Index d = source.config.hidden_size;
  Matrix<double> x = random_matrix<double>(all.count(), d, 1);
  Matrix<double> y_all(all.count(), d), y(some.count(), d), expected(some.count(), d);
  whole.forward(x, all, nullptr, y_all);
  first.forward(x, some, nullptr, y);
  batch.take_first_tokens<double>(y_all, expected);
  CHECK(largest_difference(y, expected) <= Tolerance<double>(d, 4).value);

  Tape<double> tape;
  const auto state = tape.random_state();
  const Matrix<double> c = random_matrix<double>(some.count(), d, 2);
  const auto loss = [&] {
    Tape<double> fresh;
    fresh.set_random_state(state);
    first.forward(x, some, &fresh, y);
    return (y.array() * c.array()).sum();
  };
  first.forward(x, some, &tape, y);
  Matrix<double> dy = c, dx(all.count(), d);
  const MatrixRef<double> out = dx;
  first.backward(x, y, some, tape, GradientTarget<double>::own(), dy, &out);
  CHECK(tape.empty());
  CHECK(relative_error(dx, finite_difference(x, loss)) < 1e-5);
}
