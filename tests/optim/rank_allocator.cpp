#include <lora/optim/rank_allocator.hpp>

#include <cmath>

#include "support/catch.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("the budget falls by a cubic curve from all ranks to the target") {
  // PEFT's budgets of two layers.
  const AdaLoRAConfig config{
      .init_r = 4, .target_r = 2, .total_step = 12, .tinit = 2, .tfinal = 3, .delta_t = 2};
  const Index budgets[] = {8, 8, 6, 5, 4, 4, 4, 4, 4, 4, 4, 4};
  for (std::uint64_t step = 1; step <= 12; ++step) {
    CAPTURE(step);
    CHECK(rank_budget(config, 2, step) == budgets[step - 1]);
    CHECK(takes_ranks(config, step) == (step == 4 || step == 6 || step == 8 || step == 9));
  }
}

TEST_CASE("the least important triplets go, of equal ones none stays") {
  const auto scores = [](std::initializer_list<double> values) {
    Matrix<double> column(static_cast<Index>(values.size()), 1);
    std::copy(values.begin(), values.end(), column.data());
    return column;
  };
  using Kept = std::vector<std::vector<bool>>;
  const std::vector<Matrix<double>> two{scores({3, 1, 2}), scores({2, 5, 0})};
  CHECK(most_important(two, 6) == Kept{{true, true, true}, {true, true, true}});
  CHECK(most_important(two, 4) == Kept{{true, false, true}, {true, true, false}});
  CHECK(most_important(two, 3) == Kept{{true, false, false}, {false, true, false}});
  CHECK(most_important(two, 1) == Kept{{false, false, false}, {false, true, false}});
}

TEST_CASE("importance averages sensitivity and its uncertainty") {
  const AdaLoRAConfig config{.beta1 = 0.5, .beta2 = 0.25};
  Parameter<double> w("w", Matrix<double>{{2, -1}});
  w.grad << 3, 2;
  Importance<double> importance;
  importance.update(w, config);
  importance.update(w, config);
  // p = (6, 2): P = 3, 4.5; U = 0.75 * 3, 0.25 * 2.25 + 0.75 * 1.5.
  CHECK(importance.sensitivity(0, 0) == 4.5);
  CHECK(importance.uncertainty(0, 0) == 0.25 * 2.25 + 0.75 * 1.5);
  CHECK(importance.score()(0, 1) == importance.sensitivity(0, 1) * importance.uncertainty(0, 1));
}

TEST_CASE("scores without an order are refused") {
  std::vector<Matrix<float>> scores(2, Matrix<float>::Ones(3, 1));
  for (const float bad : {std::nanf(""), HUGE_VALF}) {
    scores[1](2, 0) = bad;
    check_throws<StateError>([&] { static_cast<void>(most_important(scores, 2)); },
                             "the scores of layer 1 are not finite");
  }
}
