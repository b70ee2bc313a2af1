#pragma once

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include <lora/generation/causal_model.hpp>
#include <lora/models/common/causal_tape.hpp>
#include <lora/models/common/model_parameters.hpp>

#include "models/common/golden_causal.hpp"
#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/finite_difference.hpp"
#include "support/threads.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

// What every causal language model does, whatever its family, beside what contracts/model.hpp
// checks. Models are of golden files, adapted or not as the names say.

namespace lora::test {

/// Checks the logits of a model against those of that name in the golden file.
template <class Model>
void check_logits(const Model& model, const GoldenCausal& golden, const char* name) {
  STATIC_REQUIRE(generation::CausalModel<Model>);
  Matrix<float> logits;
  model.logits(golden.batch, logits);
  CHECK(largest_difference(logits, golden.reader.read<float>(name)) < 1e-4);
}

/// Checks the gradients of what trains against PEFT's.
template <class Model>
void check_golden_gradients(Model& model, const GoldenCausal& golden) {
  Index seen = 0;
  for (const Parameter<float>* parameter : model.parameters()) {
    CAPTURE(parameter->name);
    Matrix<float> expected = golden.reader.read<float>("grad." + parameter->name);
    expected.resize(parameter->grad.rows(), parameter->grad.cols());
    CHECK(relative_error(parameter->grad.cast<double>(), expected.cast<double>()) < 1e-3);
    ++seen;
  }
  CHECK(seen > 0);
}

/// Checks logits, loss and gradients of an adapted model against PEFT's.
template <class Model>
void check_training(Model& model, const GoldenCausal& golden) {
  check_logits(model, golden, "adapted_logits");
  models::CausalTape<float> tape;
  const LanguageModelLoss loss = model.loss(golden.batch, golden.labels, tape);
  model.backward(tape);
  CHECK(tape.empty());
  CHECK(loss.mean() == Approx(golden.reader.read<float>("loss")(0, 0)).epsilon(1e-5));
  CHECK(model.loss(golden.batch, golden.labels).mean() == Approx(loss.mean()).epsilon(1e-6));
  check_golden_gradients(model, golden);
  // A forward after a loss without its backward computes all rows, not the loss's.
  static_cast<void>(model.loss(golden.batch, golden.labels, tape));
  Matrix<float> hidden, taped;
  model.forward(golden.batch, hidden);
  model.forward(golden.batch, tape, taped);
  CHECK(largest_difference(hidden, taped) < 1e-6);
  tape.clear();
}

/// Checks the gradient of each parameter of a model of double against a finite difference, along
/// its steepest direction: one number for each.
template <class Model>
void check_slopes(Model& model, const GoldenCausal& golden) {
  models::CausalTape<double> tape;
  zero_grad(model.parameters());
  static_cast<void>(model.loss(golden.batch, golden.labels, tape));
  model.backward(tape);
  for (Parameter<double>* parameter : model.parameters()) {
    CAPTURE(parameter->name);
    const Matrix<double> grad = parameter->grad;
    const double norm = grad.norm(), h = 1e-6;
    REQUIRE(norm > 0);
    const Matrix<double> value = parameter->value;
    const auto at = [&](double step) {
      parameter->value = value + step / norm * grad;
      return model.loss(golden.batch, golden.labels).mean();
    };
    const double slope = (at(h) - at(-h)) / (2 * h);
    parameter->value = value;
    CHECK(std::abs(slope - norm) < 1e-5 * std::max(1.0, norm));
  }
}

/// Checks that texts of a batch do not see each other, and that padding changes nothing.
template <class Model>
void check_apart(const Model& model, const GoldenCausal& golden) {
  using models::CausalBatch;
  Matrix<float> together, alone;
  model.logits(golden.batch, together);
  const std::vector<int> second(golden.ids.begin() + 12, golden.ids.end());
  model.logits(CausalBatch(second, std::vector<int>{7}), alone);
  CHECK(largest_difference(together.bottomRows(7), alone) < 1e-5);
  text::TokenBatch padded;
  padded.ids = Matrix<int>::Zero(2, 12);
  padded.attention_mask = Matrix<int>::Zero(2, 12);
  for (Index i = 0; i < 12; ++i) {
    padded.ids(0, i) = golden.ids[static_cast<std::size_t>(i)];
    padded.attention_mask(0, i) = 1;
  }
  for (Index i = 0; i < 7; ++i) {
    padded.ids(1, 5 + i) = second[static_cast<std::size_t>(i)];
    padded.attention_mask(1, 5 + i) = 1;
  }
  Matrix<float> left;
  model.logits(CausalBatch(padded), left);
  CHECK(same_bits(left, together));
}

/// Checks that decoding with a cache gives what whole texts give, for any number of threads.
template <class Model>
void check_decoding(const Model& model, const GoldenCausal& golden) {
  Matrix<float> whole;
  model.logits(golden.batch, whole);
  KVCache<float> cache = model.make_cache(2, 12);
  const std::vector<int>& ids = golden.ids;
  const auto at = [&](Index text, Index token) {
    return ids[static_cast<std::size_t>(text == 0 ? token : 12 + token)];
  };
  // The beginnings together, then a token of each, and the first text alone at the end.
  std::vector<int> fresh, counts{4, 3};
  while (counts[0] + counts[1] > 0) {
    fresh.clear();
    for (Index b = 0; b < 2; ++b)
      for (Index i = 0; i < counts[static_cast<std::size_t>(b)]; ++i)
        fresh.push_back(at(b, cache.length(b) + i));
    Matrix<float> logits, again;
    KVCache<float> copy = cache;
    model.next_logits(fresh, counts, cache, logits);
    {
      const Threads three(3);
      model.next_logits(fresh, counts, copy, again);
    }
    CHECK(same_bits(logits, again));
    Index row = 0;
    for (Index b = 0; b < 2; ++b)
      if (counts[static_cast<std::size_t>(b)] > 0)
        CHECK(largest_difference(logits.row(row++),
                                 whole.row((b == 0 ? 0 : 12) + cache.length(b) - 1)) < 1e-4);
    CHECK(row == logits.rows());
    counts = {cache.length(0) < 12 ? 1 : 0, cache.length(1) < 7 ? 1 : 0};
  }
}

/// Checks that a second step of an adapted model allocates nothing, in training and in decoding.
template <class Model>
void check_no_allocations(Model& model, const GoldenCausal& golden) {
  const Threads threads(countable_threads(2));
  models::CausalTape<float> tape;
  const auto step = [&] {
    static_cast<void>(model.loss(golden.batch, golden.labels, tape));
    model.backward(tape);
  };
  step();
  step();
  CHECK(allocations_of(step).count == 0);
  KVCache<float> cache = model.make_cache(2, 12);
  Matrix<float> logits;
  const std::vector<int> ids{3, 4}, counts{1, 1};
  const auto decode = [&] { model.next_logits(ids, counts, cache, logits); };
  decode();
  decode();
  CHECK(allocations_of(decode).count == 0);
}

/// Checks that an adapted model of 40 tokens and `positions` positions refuses what it cannot
/// compute, and stays as it was.
template <class Model>
void check_refusals(Model& model, int positions) {
  models::CausalTape<float> tape;
  Matrix<float> y;
  const auto batch = [](std::vector<int> ids) {
    const std::vector<int> lengths{static_cast<int>(ids.size())};
    return models::CausalBatch(ids, lengths);
  };
  const auto longest = static_cast<std::size_t>(positions);
  CHECK_NOTHROW(model.logits(batch(std::vector<int>(longest, 1)), y));
  check_throws<ShapeError>([&] { model.logits(batch({1, 40}), y); }, "id 1 is 40");
  check_throws<ShapeError>(
      [&] { model.logits(batch(std::vector<int>(longest + 1, 1)), y); },
      message("text 0 of the batch has ", positions + 1, " tokens, expected at most ", positions));
  const auto loss = [&](std::vector<int> labels, std::optional<Index> total = {}) {
    static_cast<void>(model.loss(batch({1, 2, 3}), labels, tape, total));
  };
  check_throws<ShapeError>([&] { loss({1, 2}); }, "2 labels");
  check_throws<ShapeError>([&] { loss({1, 2, 40}); }, "label 2 is 40");
  // A text's first label counts nothing.
  check_throws<ConfigError>([&] { loss({1, -100, -100}); }, "0 of the labels count");
  check_throws<ConfigError>([&] { loss({1, 2, 3}, 1); }, "more than total says");
  CHECK_THROWS_AS(model.backward(tape), StateError);
  for (const Parameter<float>* parameter : model.parameters()) CHECK(parameter->grad.isZero(0));

  KVCache<float> cache = model.make_cache(2, 3);
  const auto next = [&](std::vector<int> ids, std::vector<int> counts) {
    model.next_logits(ids, counts, cache, y);
  };
  next({1, 2}, {1, 1});
  check_throws<ShapeError>([&] { next({1, 2, 3}, {3, 0}); }, "sequence 0 holds 1 tokens");
  check_throws<ShapeError>([&] { next({1}, {1, 1}); }, "1 ids, expected the 2");
  check_throws<ShapeError>([&] { next({1, -1}, {1, 1}); }, "id 1 is -1");
  CHECK(cache.length(0) == 1);
  KVCache<float> other(1, 2, 3, 5);
  check_throws<ShapeError>(
      [&] {
        model.next_logits(std::vector<int>{1}, std::vector<int>{1, 0}, other, y);
      },
      "expected one of make_cache");
  KVCache<float> roomy = model.make_cache(1, positions + 1);
  const std::vector<int> all(longest + 1, 1), count{positions + 1};
  check_throws<ShapeError>(
      [&] { model.next_logits(all, count, roomy, y); },
      message("text 0 would have ", positions + 1, " tokens, expected at most ", positions));
}

}  // namespace lora::test
