#include "examples/bert/training.hpp"

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"

using namespace bert;
using lora::test::check_throws;
using lora::test::TemporaryDirectory;

namespace {

// Fits a linear layer to random numbers; a text is a row. Dropout, so that the tape counts.
class Toy {
 public:
  explicit Toy(std::vector<double> scores = {}) : scores_(std::move(scores)) {
    layer_.set_name("layer");
    layer_.lora_B().value = lora::test::random_matrix<float>(3, 2, 4);
  }

  const std::vector<Index>& lengths() const { return lengths_; }
  lora::ParameterList<float> parameters() { return lora::parameters_of<float>(layer_); }
  lora::Tape<float>& tape() { return tape_; }

  Step step(const Batch& batch) {
    lora::Matrix<float> x(static_cast<Index>(batch.size()), 5), y, dy;
    std::vector<int> labels;
    for (std::size_t i = 0; i < batch.size(); ++i) {
      x.row(static_cast<Index>(i)) = texts_.row(batch[i]);
      labels.push_back(static_cast<int>(batch[i] % 3));
    }
    layer_.forward(x, tape_, y);
    const float loss = lora::cross_entropy(y, labels, dy);
    layer_.backward(x, dy, tape_);
    return {.loss = loss, .tokens = static_cast<Index>(batch.size())};
  }

  double validate() { return validated_ < scores_.size() ? scores_[validated_++] : 0; }

  lora::LoRALinear<float> layer_{
      lora::DenseWeight<float>(lora::test::random_matrix<float>(3, 5, 1)),
      {.rank = 2, .dropout = 0.3},
      7};

 private:
  lora::Matrix<float> texts_ = lora::test::random_matrix<float>(20, 5, 2);
  std::vector<Index> lengths_ = std::vector<Index>(20, 1);
  lora::Tape<float> tape_;
  std::vector<double> scores_;
  std::size_t validated_ = 0;
};

std::vector<double> losses(const History& history) {
  std::vector<double> all;
  for (const Step& step : history.steps) all.push_back(step.loss);
  return all;
}

}  // namespace

TEST_CASE("training stops when the score has not risen for so many epochs") {
  Toy toy({50, 60, 60, 55, 70});
  std::vector<int> begun;
  std::vector<std::pair<double, bool>> scores;
  const Observer observer{
      .epoch_begins = [&](int epoch, std::size_t) { begun.push_back(epoch); },
      .epoch_is_done = [&](double score, bool best,
                           const History&) { scores.emplace_back(score, best); }};
  const History history = train(toy, {.epochs = 9, .patience = 2, .batch = 8}, false, observer);
  CHECK(begun == std::vector<int>{1, 2, 3, 4});
  CHECK(scores ==
        std::vector<std::pair<double, bool>>{{50, true}, {60, true}, {60, false}, {55, false}});
  CHECK(history.progress.best_epoch == 2);
  CHECK(history.progress.best_score == 60);
  CHECK(history.steps.size() == 4 * 3);
  CHECK(history.seconds() > 0);
}

TEST_CASE("training lowers the loss") {
  Toy toy({1, 2, 3, 4, 5, 6, 7, 8, 9, 10});
  const History history =
      train(toy, {.epochs = 10, .batch = 20, .learning_rate = 0.05, .warmup = 0}, false);
  CHECK(history.steps.back().loss < 0.9 * history.steps.front().loss);
}

TEST_CASE(
    "a run that goes on from its checkpoint ends bit for bit where one without a break does") {
  const TemporaryDirectory folder;
  const std::vector<double> scores{10, 20, 15, 30, 25};
  Training training{.epochs = 5, .patience = 5, .batch = 8, .learning_rate = 0.01};
  Toy whole(scores);
  const History straight = train(whole, training, false);

  training.checkpoint = folder / "checkpoint.safetensors";
  struct Killed {};
  Toy first({10, 20, 15});
  std::vector<double> before;
  // Killed after some steps of the fourth epoch, which have to be done again.
  const Observer kill{.step_is_done = [&](const Batch&, const Step& step) {
    if (before.size() == 3 * 3 + 2) throw Killed();
    before.push_back(step.loss);
  }};
  CHECK_THROWS_AS(train(first, training, false, kill), Killed);
  Toy second({30, 25});
  const History rest = train(second, training, true);

  before.resize(3 * 3);
  const auto after = losses(rest);
  before.insert(before.end(), after.begin(), after.end());
  CHECK(before == losses(straight));
  CHECK(second.layer_.lora_A().value == whole.layer_.lora_A().value);
  CHECK(second.layer_.lora_B().value == whole.layer_.lora_B().value);
  CHECK(rest.progress.best_score == 30);
  CHECK(rest.progress.best_epoch == 4);

  // Nothing is left to be done.
  Toy third;
  CHECK(train(third, training, true).steps.empty());
  CHECK(third.layer_.lora_B().value == whole.layer_.lora_B().value);
}

TEST_CASE("a checkpoint of another run is refused, and nothing changes") {
  const TemporaryDirectory folder;
  Training training{.epochs = 2, .batch = 8, .checkpoint = folder / "checkpoint.safetensors"};
  Toy toy;
  check_throws<lora::FileError>([&] { train(toy, training, true); }, "checkpoint.safetensors");
  train(toy, training, false);
  for (Training other : {Training{.epochs = 3, .batch = 8}, Training{.epochs = 2, .batch = 4},
                         Training{.epochs = 2, .batch = 8, .seed = 2},
                         Training{.epochs = 2, .batch = 8, .learning_rate = 0.5}}) {
    other.checkpoint = training.checkpoint;
    Toy fresh;
    const lora::Matrix<float> b = fresh.layer_.lora_B().value;
    check_throws<lora::ConfigError>([&] { train(fresh, other, true); }, "is of a run with ");
    CHECK(fresh.layer_.lora_B().value == b);
  }
}
