#include <lora/nn/language_model_loss.hpp>

#include <cmath>
#include <vector>

#include <lora/layers/lora_linear.hpp>
#include <lora/nn/cross_entropy.hpp>
#include <lora/nn/linear.hpp>

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

constexpr Index loss_features = 6, loss_classes = 11;

LoRALinear<double> adapted_head(std::uint64_t seed = 1) {
  LoRALinear<double> head(
      DenseWeight<double>(random_matrix<double>(loss_classes, loss_features, 1)),
      LoRAConfig{.rank = 3, .alpha = 6}, seed);
  head.lora_B().value = random_matrix<double>(loss_classes, 3, 4);
  return head;
}

const std::vector<int> loss_labels{3, ignored_label, 0, 10, ignored_label, 3, 7};

struct LossAndGradients {
  LanguageModelLoss loss;
  Matrix<double> dhidden, da, db;
};

LossAndGradients loss_of(LoRALinear<double>& head, const Matrix<double>& hidden,
                         std::span<const int> labels, std::optional<Index> total = {}) {
  LossAndGradients result;
  Tape<double> tape;
  zero_grad(head.parameters());
  result.loss = language_model_loss<double>(head, hidden, labels, total, tape, result.dhidden);
  result.da = head.lora_A().grad;
  result.db = head.lora_B().grad;
  CHECK(tape.empty());
  return result;
}

}  // namespace

TEST_CASE("a language model's loss and gradients are those of formed logits") {
  LoRALinear<double> head = adapted_head();
  const Matrix<double> hidden = random_matrix<double>(7, loss_features, 2);
  const LossAndGradients fused = loss_of(head, hidden, loss_labels);

  Tape<double> tape;
  Matrix<double> logits, dlogits, dhidden;
  zero_grad(head.parameters());
  head.forward(hidden, tape, logits);
  const double mean = cross_entropy(logits, loss_labels, dlogits);
  head.backward(hidden, dlogits, tape, dhidden);
  CHECK(fused.loss.tokens == 5);
  CHECK(std::abs(fused.loss.mean() - mean) < 1e-14);
  CHECK(largest_difference(fused.dhidden, dhidden) < 1e-14);
  CHECK(largest_difference(fused.da, head.lora_A().grad) < 1e-14);
  CHECK(largest_difference(fused.db, head.lora_B().grad) < 1e-14);

  const LanguageModelLoss alone = language_model_loss<double>(head, hidden, loss_labels);
  CHECK(std::abs(alone.sum - fused.loss.sum) < 1e-13);
  CHECK(alone.tokens == 5);
  std::vector<double> losses(7, 9);
  token_losses<double>(head, hidden, loss_labels, losses);
  CHECK(losses[1] == 0);
  CHECK(losses[4] == 0);
  double sum = 0;
  for (const double loss : losses) sum += loss;
  CHECK(std::abs(sum - alone.sum) < 1e-13);
}

TEST_CASE("a language model's loss has the gradient of differences") {
  LoRALinear<double> head = adapted_head();
  Matrix<double> hidden = random_matrix<double>(7, loss_features, 2);
  const LossAndGradients at = loss_of(head, hidden, loss_labels);
  const auto loss = [&] { return language_model_loss<double>(head, hidden, loss_labels).mean(); };
  CHECK(relative_error(at.dhidden, finite_difference(hidden, loss)) < 1e-6);
  Matrix<double> a = head.lora_A().value;
  CHECK(relative_error(at.da, finite_difference(a, [&] {
                         head.lora_A().value = a;
                         return loss();
                       })) < 1e-6);
}

TEST_CASE("a batch that goes through in parts has the gradients of the whole") {
  LoRALinear<double> head = adapted_head();
  const Matrix<double> hidden = random_matrix<double>(7, loss_features, 2);
  const LossAndGradients whole = loss_of(head, hidden, loss_labels);
  const Matrix<double> first = hidden.topRows(2), second = hidden.bottomRows(5);
  const std::span<const int> labels(loss_labels);
  const LossAndGradients one = loss_of(head, first, labels.first(2), 5);
  const LossAndGradients two = loss_of(head, second, labels.subspan(2), 5);
  CHECK(std::abs(one.loss.sum + two.loss.sum - whole.loss.sum) < 1e-13);
  CHECK(one.loss.tokens + two.loss.tokens == whole.loss.tokens);
  CHECK(largest_difference(one.dhidden, whole.dhidden.topRows(2)) < 1e-15);
  CHECK(largest_difference(two.dhidden, whole.dhidden.bottomRows(5)) < 1e-15);
  CHECK(largest_difference(one.db + two.db, whole.db) < 1e-14);
}

TEST_CASE("a head that trains as a whole gets its gradient") {
  Linear<double> head(random_matrix<double>(loss_classes, loss_features, 1), Vector<double>());
  Matrix<double> hidden = random_matrix<double>(7, loss_features, 2), dhidden;
  Tape<double> tape;
  static_cast<void>(
      language_model_loss<double>(head, hidden, loss_labels, std::nullopt, tape, dhidden));
  Matrix<double> w = head.weight().value;
  CHECK(relative_error(head.weight().grad, finite_difference(w, [&] {
                         head.weight().value = w;
                         return language_model_loss<double>(head, hidden, loss_labels).mean();
                       })) < 1e-6);
}

// 257 labelled rows of 40,000 classes are cut into chunks: their sum is that of the rows alone.
TEST_CASE("a loss over many chunks is the same bits for any number of threads") {
  const Index rows = 300, classes = 40'000;
  LoRALinear<float> head(DenseWeight<float>(random_matrix<float>(classes, 8, 1)), LoRAConfig{}, 1);
  const Matrix<float> hidden = random_matrix<float>(rows, 8, 2);
  std::vector<int> labels;
  for (int i = 0; i < 300; ++i) labels.push_back(i % 7 == 0 ? ignored_label : i * 97);
  Tape<float> tape;
  Matrix<float> dhidden, one_dhidden, one_db;
  LanguageModelLoss loss;
  const auto step = [&] {
    zero_grad(head.parameters());
    loss = language_model_loss<float>(head, hidden, labels, std::nullopt, tape, dhidden);
  };
  for (const int count : {1, 2, 3}) {
    const Threads threads(count);
    step();
    if (count == 1) {
      one_dhidden = dhidden;
      one_db = head.lora_B().grad;
    }
    CHECK(same_bits(dhidden, one_dhidden));
    CHECK(same_bits(head.lora_B().grad, one_db));
  }
  const Threads countable(countable_threads(2));
  step();
  // A BLAS takes memory of its own.
  if (!kernels::blas_multiplies) CHECK(allocations_of(step).count == 0);
  CHECK(detail::logits_rows(257, classes) < 257);
  Matrix<float> logits, dlogits;
  head.forward(hidden, logits);
  CHECK(loss.mean() == Approx(cross_entropy(logits, labels, dlogits)).epsilon(1e-5));
}

TEST_CASE("chunks have room for one row at least, and memory has a limit") {
  CHECK(detail::logits_rows(0, 5) == 0);
  CHECK(detail::logits_rows(5, 5) == 5);
  CHECK(detail::logits_rows(1000, 152'064) <= 64);
  CHECK(detail::logits_rows(1000, 152'064) >= 60);
  CHECK(detail::logits_rows(256, 49'152) == 128);
}

TEST_CASE("a loss refuses labels that are none, and a batch without any") {
  LoRALinear<double> head = adapted_head();
  const Matrix<double> hidden = random_matrix<double>(2, loss_features, 2);
  Matrix<double> dhidden(1, 1);
  Tape<double> tape;
  const auto with = [&](std::vector<int> labels, std::optional<Index> total = {}) {
    return language_model_loss<double>(head, hidden, labels, total, tape, dhidden);
  };
  check_throws<ShapeError>([&] { with({1}); }, "1 labels, expected one for each of 2 rows");
  check_throws<ShapeError>([&] { with({1, 11}); }, "label 1 is 11, expected a token in [0, 11)");
  check_throws<ShapeError>([&] { with({-1, 1}); }, "label 0 is -1");
  check_throws<ConfigError>([&] { with({-100, -100}); }, "none of the 2 labels is a token");
  check_throws<ConfigError>([&] { with({1, 2}, 1); }, "total is 1, expected at least the 2");
  const Matrix<double> narrow = random_matrix<double>(2, 5, 2);
  check_throws<ShapeError>(
      [&] {
        language_model_loss<double>(head, narrow, std::vector<int>{1, 2}, std::nullopt, tape,
                                    dhidden);
      },
      "in_features of the head = 6");
  CHECK(tape.empty());
  CHECK(dhidden.size() == 1);
  const LanguageModelLoss none =
      language_model_loss<double>(head, hidden, std::vector<int>{-100, -100});
  CHECK(none.tokens == 0);
  CHECK_THROWS_AS(none.mean(), StateError);
}

TEST_CASE("labels beside their tokens are shifted within each sequence") {
  const std::vector<int> lengths{3, 1, 2}, labels{1, 2, 3, 4, 5, ignored_label};
  const Sequences sequences = Sequences::packed(lengths);
  std::vector<int> next;
  next_token_labels(labels, sequences, next);
  CHECK(next == std::vector<int>{2, 3, -100, -100, -100, -100});
  const std::vector<int> mask{0, 1, 1, 1, 1, 0};
  next_token_labels(labels, Sequences::masked(mask, 3), next);
  CHECK(next == std::vector<int>{-100, 3, -100, 5, -100, -100});
  CHECK_THROWS_AS(next_token_labels(std::vector<int>{1}, sequences, next), ShapeError);
}
