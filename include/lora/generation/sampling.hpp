#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "lora/core/finite.hpp"
#include "lora/core/matrix.hpp"
#include "lora/core/number_checks.hpp"
#include "lora/random/random.hpp"

namespace lora::generation {

/// How the next token is chosen; the words are those of transformers' GenerationConfig.
struct SamplingConfig {
  bool do_sample = false;         ///< draws from the distribution; else takes its first maximum
  double temperature = 1;         ///< logits are divided by it, above 0
  Index top_k = 0;                ///< only the k most likely, and those equal to the last; 0: all
  double top_p = 1;               ///< only the most likely that together have this probability
  double min_p = 0;               ///< only those at least this times as likely as the likeliest
  double repetition_penalty = 1;  ///< p: logits of tokens that have come are l / p, or l p below 0
  std::uint64_t seed = 0;         ///< of the draws
};

/// Throws ConfigError, naming the setting, for one out of range.
inline void validate(const SamplingConfig& config) {
  constexpr const char* where = "SamplingConfig";
  const auto require = [where](bool good, const char* what, double value, const char* expected) {
    if (!good)
      throw ConfigError(message(where, ": ", what, " is ", value, ", expected ", expected));
  };
  require(is_finite(config.temperature) && config.temperature > 0, "temperature",
          config.temperature, "a finite number above 0 (do_sample = false is greedy)");
  require(config.top_k >= 0, "top_k", static_cast<double>(config.top_k), "0 (all) or more");
  require(is_finite(config.top_p) && config.top_p >= 0 && config.top_p <= 1, "top_p", config.top_p,
          "0 to 1");
  require(is_finite(config.min_p) && config.min_p >= 0 && config.min_p <= 1, "min_p", config.min_p,
          "0 to 1");
  require(is_finite(config.repetition_penalty) && config.repetition_penalty > 0,
          "repetition_penalty", config.repetition_penalty, "a finite number above 0");
}

/// A token that may come next, and its probability.
struct Candidate {
  int token = 0;
  double probability = 0;
};

/// A chooser of next tokens: the processors of transformers 5.24 in their order, repetition penalty
/// and then, for drawing alone, temperature, top_k, top_p and min_p. A draw is a function of (seed,
/// text, step), whatever else is in the batch. Calls are const and may run in parallel, each with
/// candidates of its own.
class Sampler {
 public:
  /// Throws ConfigError for settings out of range.
  explicit Sampler(const SamplingConfig& config) : config_((validate(config), config)) {}

  [[nodiscard]] const SamplingConfig& config() const { return config_; }

  /// Returns the token that follows, from its logits, one for each of the vocabulary; `before` are
  /// the tokens of prompt and answer so far, `text` and `step` number the text and the token in it.
  /// Throws ShapeError for no logits, StateError for logits that are NaN.
  template <class T>
  [[nodiscard]] int next(std::span<const T> logits, std::span<const int> before, std::uint64_t text,
                         std::uint64_t step, std::vector<Candidate>& candidates) const {
    if (!config_.do_sample) {
      const std::vector<Candidate>& best = distribution(logits, before, candidates);
      return best.front().token;
    }
    distribution(logits, before, candidates);
    const double drawn = Random(config_.seed, RandomStream::sampling, text).uniform(step, 0);
    double sum = 0;
    for (const Candidate& candidate : candidates) {
      sum += candidate.probability;
      if (drawn < sum) return candidate.token;
    }
    return candidates.back().token;
  }

  /// Returns the tokens that may follow, the likeliest first and of equal ones the lower id, with
  /// probabilities that add up to 1; of a greedy choice that one. Throws as `next`.
  template <class T>
  const std::vector<Candidate>& distribution(std::span<const T> logits, std::span<const int> before,
                                             std::vector<Candidate>& candidates) const {
    if (logits.empty()) throw ShapeError("Sampler: there are no logits");
    candidates.resize(logits.size());
    for (std::size_t i = 0; i < logits.size(); ++i) {
      const auto logit = static_cast<double>(logits[i]);
      if (!is_finite(logit) && !(logit < 0) && !(logit > 0))
        throw StateError(message("Sampler: the logit of token ", i, " is NaN"));
      candidates[i] = {static_cast<int>(i), logit};
    }
    penalise(before, candidates);
    if (!config_.do_sample) {
      const auto best = std::max_element(
          candidates.begin(), candidates.end(),
          [](const Candidate& a, const Candidate& b) { return a.probability < b.probability; });
      candidates.front() = {best->token, 1};
      candidates.resize(1);
      return candidates;
    }
    for (Candidate& each : candidates) each.probability /= config_.temperature;
    keep_top(candidates);
    return candidates;
  }

 private:
  void penalise(std::span<const int> before, std::vector<Candidate>& candidates) const {
    if (config_.repetition_penalty == 1) return;
    std::vector<int> seen(before.begin(), before.end());
    std::sort(seen.begin(), seen.end());
    seen.erase(std::unique(seen.begin(), seen.end()), seen.end());
    for (const int token : seen) {
      if (token < 0 || static_cast<std::size_t>(token) >= candidates.size()) continue;
      double& logit = candidates[static_cast<std::size_t>(token)].probability;
      logit = logit < 0 ? logit * config_.repetition_penalty : logit / config_.repetition_penalty;
    }
  }

  // Turns logits into probabilities of what is left.
  void keep_top(std::vector<Candidate>& all) const {
    const auto likelier = [](const Candidate& a, const Candidate& b) {
      return a.probability > b.probability || (a.probability == b.probability && a.token < b.token);
    };
    const auto k = static_cast<std::size_t>(config_.top_k);
    if (k > 0 && k < all.size()) {
      std::nth_element(all.begin(), all.begin() + config_.top_k - 1, all.end(), likelier);
      const double least = all[k - 1].probability;
      std::erase_if(all, [&](const Candidate& each) { return each.probability < least; });
    }
    std::sort(all.begin(), all.end(), likelier);
    const double largest = all.front().probability;
    double sum = 0;
    for (Candidate& each : all) sum += each.probability = std::exp(each.probability - largest);
    if (config_.top_p < 1) {
      // As transformers: from the least likely up, tokens go while they have 1 - p together.
      double tail = 0;
      std::size_t size = all.size();
      while (size > 1 && (tail += all[size - 1].probability / sum) <= 1 - config_.top_p) --size;
      all.resize(size);
    }
    if (config_.min_p > 0)
      std::erase_if(all, [&](const Candidate& each) { return each.probability < config_.min_p; });
    sum = 0;
    for (const Candidate& each : all) sum += each.probability;
    for (Candidate& each : all) each.probability /= sum;
  }

  SamplingConfig config_;
};

}  // namespace lora::generation
