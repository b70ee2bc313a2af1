#include <lora/models/bert/bert_pooler.hpp>

#include "models/bert/golden_bert.hpp"
#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using lora::test::bert_data;
using lora::test::random_matrix;

namespace {

using Pooler = models::BertPooler<double, DenseWeight<double>>;

// The tiny model's pooler, its weights as they are in the file, and a batch for it.
struct Pooled {
  explicit Pooled(const models::Tuning& tuning)
      : options{.tuning = tuning},
        source(bert_data("tiny"), options, {.prefix = "bert.", .pooler = true, .classifier = true}),
        builder(source.builder(1)),
        pooler(builder, source) {}

  models::BertOptions options;
  models::BertSource<double> source;
  models::ModelBuilder<double> builder;
  Pooler pooler;
  Matrix<double> weight = source.weights->copy(source.pooler() + ".weight", d(), d());
  Vector<double> bias = source.weights->vector(source.pooler() + ".bias", d());
  models::PackedBatch batch{test::GoldenBatch().tokens};
  Matrix<double> hidden = random_matrix<double>(batch.sequences().rows(), d(), 1);

  [[nodiscard]] Index d() const { return source.config.hidden_size; }
};

}  // namespace

TEST_CASE("a pooler is tanh of a linear layer of the first tokens, and so is its gradient") {
  Pooled with(models::FullTuning{});
  CHECK(with.pooler.trains());
  const Sequences& sequences = with.batch.sequences();
  const Index texts = sequences.size(), d = with.d();
  Tape<double> tape;
  Matrix<double> first(texts, d), pooled(texts, d);
  with.pooler.forward(with.hidden, sequences, &tape, first, pooled);
  const Matrix<double> expected =
      ((first * with.weight.transpose()).rowwise() + with.bias.transpose()).array().tanh();
  CHECK(test::largest_difference(pooled, expected) < 1e-12);
  for (Index b = 0; b < texts; ++b) CHECK(first.row(b) == with.hidden.row(sequences[b].begin));

  const Matrix<double> dy = random_matrix<double>(texts, d, 2);
  Matrix<double> dpooled = dy, dhidden(sequences.rows(), d);
  models::ModelParameters<double> listed;
  with.pooler.list(listed);
  Gradients<double> gradients(listed.trained);
  with.pooler.backward(first, pooled, dpooled, tape, gradients, sequences, dhidden);
  CHECK(tape.empty());
  const Matrix<double> dz = dy.array() * (1 - expected.array().square());
  Matrix<double> dhidden_expected = Matrix<double>::Zero(sequences.rows(), d);
  for (Index b = 0; b < texts; ++b)
    dhidden_expected.row(sequences[b].begin) = dz.row(b) * with.weight;
  CHECK(test::largest_difference(dhidden, dhidden_expected) < 1e-12);
  const Matrix<double> dw = dz.transpose() * first;
  CHECK(test::largest_difference(gradients.of(**listed.trained.begin()), dw) < 1e-12);

  // Without the gradient of the hidden states the others are the same.
  with.pooler.forward(with.hidden, sequences, &tape, first, pooled);
  dpooled = dy;
  Gradients<double> again(listed.trained);
  with.pooler.backward(first, pooled, dpooled, tape, again);
  CHECK(test::largest_difference(again.of(**listed.trained.begin()), dw) < 1e-12);
}

TEST_CASE("a frozen pooler has nothing that trains") {
  Pooled with(models::HeadOnly{});
  CHECK_FALSE(with.pooler.trains());
  int adapted = 0;
  with.pooler.for_each_adapted([&](auto&) { ++adapted; });
  CHECK(adapted == 0);
}
