#pragma once

#include <cmath>
#include <cstddef>

#include "lora/core/error.hpp"
#include "lora/core/finite.hpp"

namespace lora::metrics {

/// The perplexity of a language model: exp(mean over tokens of -log p(token)), over any number of
/// batches. The mean is that of all tokens, not of the batches' means.
class Perplexity {
 public:
  /// Adds a batch of `tokens` labelled tokens by the sum of their losses, natural logarithms as
  /// cross_entropy's with Reduction::sum. Throws ConfigError, and adds nothing, for a sum that is
  /// negative or not finite, or that has no tokens.
  void add_sum(double loss, std::size_t tokens) {
    if (!is_finite(loss) || loss < 0 || (tokens == 0 && loss != 0))
      throw ConfigError(message("Perplexity: the loss of ", tokens, " tokens is ", loss,
                                ", expected a finite number of at least 0"));
    loss_ += loss;
    tokens_ += tokens;
  }

  /// Adds a batch by the mean of its tokens' losses; see add_sum.
  void add_mean(double loss, std::size_t tokens) {
    add_sum(loss * static_cast<double>(tokens), tokens);
  }

  /// Returns how many tokens were added.
  [[nodiscard]] std::size_t tokens() const { return tokens_; }

  /// Returns the mean loss of a token. Throws StateError if there is none.
  [[nodiscard]] double mean_loss() const {
    if (tokens_ == 0) throw StateError("Perplexity: no token was added");
    return loss_ / static_cast<double>(tokens_);
  }

  /// Returns exp(mean_loss()).
  [[nodiscard]] double value() const { return std::exp(mean_loss()); }

 private:
  double loss_ = 0;
  std::size_t tokens_ = 0;
};

}  // namespace lora::metrics
