#include "examples/bert_sentiment/learning_rates.hpp"

#include <map>

#include "support/catch.hpp"

using namespace sentiment;

namespace {

struct RateScores {
  std::string method = "a method";
  double validation = 0;
  double test = 0;
};

}  // namespace

TEST_CASE("the learning rate is taken that is best on validation texts, the first of equals") {
  // On test texts another is best: nobody looks.
  const std::map<double, RateScores> scores{{1e-4, {"a method", 80, 99}},
                                            {1e-3, {"a method", 90, 85}},
                                            {1e-2, {"a method", 90, 95}},
                                            {1e-1, {"a method", 50, 98}}};
  std::vector<double> runs, kept;
  std::vector<Trial> trials;
  const auto run = [&](double rate) {
    runs.push_back(rate);
    return scores.at(rate);
  };
  const RateScores best = best_of_rates(
      {1e-4, 1e-3, 1e-2, 1e-1}, run, [&] { kept.push_back(runs.back()); }, trials);
  CHECK(best.validation == 90);
  CHECK(best.test == 85);
  CHECK(runs == std::vector<double>{1e-4, 1e-3, 1e-2, 1e-1});
  CHECK(kept == std::vector<double>{1e-4, 1e-3});
  REQUIRE(trials.size() == 4);
  CHECK(trials[3].method == "a method");
  CHECK(trials[3].learning_rate == 1e-1);
  CHECK(trials[3].validation == 50);

  // In another order the other of the equals; one alone is taken.
  CHECK(best_of_rates(
            {1e-2, 1e-3}, run, [] {}, trials)
            .test == 95);
  CHECK(best_of_rates(
            {1e-1}, run, [] {}, trials)
            .test == 98);
}

TEST_CASE("learning rates are written shortly") {
  CHECK(short_rate(1e-3) == "1e-3");
  CHECK(short_rate(3e-5) == "3e-5");
  CHECK(short_rate(2.5e-4) == "2.5e-4");
  CHECK(short_rate(0.01) == "1e-2");
  CHECK(short_rate(1) == "1e0");
}
