#include <lora/generation/sampling.hpp>

#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include "support/catch.hpp"
#include "support/golden.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::generation;
using namespace lora::test;

namespace {

std::span<const float> row_of(const Matrix<float>& logits) {
  return {logits.data(), static_cast<std::size_t>(logits.size())};
}

}  // namespace

TEST_CASE("what may follow has transformers' probabilities under all settings") {
  const Golden<float> golden("generation_sampling");
  const Matrix<float>& settings = golden["settings"];
  std::vector<int> before;
  for (Index i = 0; i < golden["before"].size(); ++i)
    before.push_back(static_cast<int>(golden["before"](0, i)));
  for (Index i = 0; i < settings.rows(); ++i) {
    CAPTURE(i);
    const Sampler sampler({.do_sample = true,
                           .temperature = static_cast<double>(settings(i, 0)),
                           .top_k = static_cast<Index>(settings(i, 1)),
                           .top_p = static_cast<double>(settings(i, 2)),
                           .min_p = static_cast<double>(settings(i, 3)),
                           .repetition_penalty = static_cast<double>(settings(i, 4))});
    std::vector<Candidate> candidates;
    sampler.distribution(row_of(golden["logits"]), before, candidates);
    std::vector<double> got(12, 0);
    for (const Candidate& each : candidates)
      got[static_cast<std::size_t>(each.token)] = each.probability;
    for (Index j = 0; j < 12; ++j) {
      const double expected = static_cast<double>(golden["probabilities"](i, j));
      CHECK(std::abs(got[static_cast<std::size_t>(j)] - expected) < 1e-6);
      CHECK((got[static_cast<std::size_t>(j)] == 0) == (expected == 0));
    }
  }
}

TEST_CASE("greedy takes the first maximum, after the penalty") {
  const std::vector<float> logits{1, 3, 3, 2}, negative{-1, -2};
  const std::vector<int> none, one{1};
  std::vector<Candidate> candidates;
  const Sampler greedy(SamplingConfig{});
  CHECK(greedy.next<float>(logits, none, 0, 0, candidates) == 1);
  const Sampler penalised({.repetition_penalty = 2});
  CHECK(penalised.next<float>(logits, one, 0, 0, candidates) == 2);
  // A negative logit grows more negative.
  CHECK(penalised.next<float>(negative, std::vector<int>{0}, 0, 0, candidates) == 0);
  const Sampler strong({.repetition_penalty = 3});
  CHECK(strong.next<float>(negative, std::vector<int>{0, 0}, 0, 0, candidates) == 1);
}

TEST_CASE("draws follow the probabilities, and depend on seed, text and step alone") {
  const std::vector<float> logits{std::log(0.5F), std::log(0.3F), std::log(0.2F)};
  const std::vector<int> none;
  std::vector<Candidate> candidates;
  const Sampler sampler({.do_sample = true, .seed = 5});
  std::vector<int> counts(3), first;
  for (std::uint64_t step = 0; step < 4000; ++step) {
    const int token = sampler.next<float>(logits, none, 1, step, candidates);
    ++counts[static_cast<std::size_t>(token)];
    first.push_back(token);
  }
  // Five standard deviations.
  CHECK(std::abs(counts[0] - 2000) < 160);
  CHECK(std::abs(counts[1] - 1200) < 150);
  CHECK(std::abs(counts[2] - 800) < 130);
  bool same = true, other_text = true, other_seed = true;
  const Sampler seeded({.do_sample = true, .seed = 6});
  for (std::uint64_t step = 0; step < 100; ++step) {
    same = same && sampler.next<float>(logits, none, 1, step, candidates) == first[step];
    other_text =
        other_text && sampler.next<float>(logits, none, 2, step, candidates) == first[step];
    other_seed = other_seed && seeded.next<float>(logits, none, 1, step, candidates) == first[step];
  }
  CHECK(same);
  CHECK(!other_text);
  CHECK(!other_seed);
}

TEST_CASE("settings out of range and logits that are NaN are refused") {
  const auto refused = [](const SamplingConfig& config, const char* part) {
    check_throws<ConfigError>([&] { Sampler sampler(config); }, part);
  };
  refused({.temperature = 0}, "temperature is 0");
  refused({.top_k = -1}, "top_k is -1");
  refused({.top_p = 1.5}, "top_p is 1.5");
  refused({.min_p = -0.5}, "min_p is -0.5");
  refused({.repetition_penalty = 0}, "repetition_penalty is 0");
  std::vector<Candidate> candidates;
  const std::vector<int> none;
  const std::vector<float> bad{1, std::numeric_limits<float>::quiet_NaN()}, nothing;
  const Sampler sampler(SamplingConfig{});
  check_throws<StateError>(
      [&] { static_cast<void>(sampler.next<float>(bad, none, 0, 0, candidates)); },
      "the logit of token 1 is NaN");
  CHECK_THROWS_AS(sampler.next<float>(nothing, none, 0, 0, candidates), ShapeError);
  const std::vector<float> infinite{-std::numeric_limits<float>::infinity(), 0};
  CHECK(sampler.next<float>(infinite, none, 0, 0, candidates) == 1);
}
