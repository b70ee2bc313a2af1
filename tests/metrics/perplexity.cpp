#include <lora/metrics/perplexity.hpp>

#include <cmath>
#include <limits>
#include <vector>

#include <lora/nn/cross_entropy.hpp>

#include "support/catch.hpp"

using namespace lora;
using namespace lora::metrics;

TEST_CASE("a model that knows nothing is as perplexed as its vocabulary is large") {
  const Matrix<double> logits = Matrix<double>::Zero(5, 11);
  Matrix<double> gradient;
  Perplexity perplexity;
  perplexity.add_mean(cross_entropy<double>(logits, std::vector{0, 3, -100, 10, 3}, {}, gradient),
                      4);
  CHECK(perplexity.value() == Approx(11));
  CHECK(perplexity.tokens() == 4);
}

TEST_CASE("the mean is that of all tokens, not of the batches' means") {
  Perplexity sums, means;
  sums.add_sum(3, 1);
  sums.add_sum(3, 9);
  sums.add_sum(0, 0);
  means.add_mean(3, 1);
  means.add_mean(3.0 / 9, 9);
  CHECK(sums.mean_loss() == Approx(0.6));
  CHECK(means.mean_loss() == Approx(0.6));
  CHECK(sums.value() == Approx(std::exp(0.6)));
}

TEST_CASE("what is no loss is refused and not added") {
  Perplexity perplexity;
  CHECK_THROWS_WITH(perplexity.value(), "Perplexity: no token was added");
  CHECK_THROWS_WITH(perplexity.add_sum(std::numeric_limits<double>::quiet_NaN(), 3),
                    "Perplexity: the loss of 3 tokens is nan, expected a finite number of at least "
                    "0");
  CHECK_THROWS_AS(perplexity.add_sum(std::numeric_limits<double>::infinity(), 3), ConfigError);
  CHECK_THROWS_AS(perplexity.add_mean(-1, 3), ConfigError);
  CHECK_THROWS_AS(perplexity.add_sum(1, 0), ConfigError);
  CHECK(perplexity.tokens() == 0);
  CHECK_THROWS_AS(perplexity.mean_loss(), StateError);
}
