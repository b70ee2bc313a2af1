#pragma once

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>
#include <utility>

#include "contracts/model.hpp"
#include "models/bert/golden_bert.hpp"
#include "support/catch.hpp"
#include "support/random_matrix.hpp"

namespace lora::test {

/// Returns settings that adapt every linear module.
[[nodiscard]] inline peft::PeftConfig all_linear(double dropout = 0) {
  peft::PeftConfig config;
  config.r = 2;
  config.lora_alpha = 3;
  config.lora_dropout = dropout;
  config.target_modules = "all-linear";
  config.task_type = "SEQ_CLS";
  return config;
}

/// Compares some elements of every gradient of the model in `directory` with central differences.
/// Each forward starts from the same random state of the tape, so dropout's masks are the same.
template <models::BertTask task>
void check_gradients(const models::BertOptions& options,
                     const std::filesystem::path& directory = bert_data("tiny")) {
  GoldenBatch batch;
  // The embedding of the padding's id has no gradient, even where a text holds it.
  batch.tokens.ids = batch.tokens.ids.cwiseMax(1);
  models::BertClassifier<double, task> model(directory, options);
  randomise(model);
  models::BertTape<double> tape;
  Matrix<double> logits, dlogits;
  const auto start = tape.random_state();
  static_cast<void>(step(model, batch, tape, logits, dlogits));
  const auto loss = [&] {
    tape.set_random_state(start);
    model.forward(batch.tokens, tape, logits);
    return cross_entropy<double>(logits, labels_of<task>(batch), dlogits);
  };
  REQUIRE(!model.parameters().empty());
  for (Parameter<double>* parameter : model.parameters()) {
    CAPTURE(parameter->name);
    constexpr double h = 2e-5;
    constexpr Index samples = 5;
    const double scale = std::max(parameter->grad.cwiseAbs().maxCoeff(), 1e-5);
    for (Index sample = 0; sample < samples; ++sample) {
      const Index i = sample * (parameter->size() - 1) / (samples - 1);
      double& element = parameter->value.data()[i];
      const double kept = element;
      element = kept + h;
      const double above = loss();
      element = kept - h;
      const double below = loss();
      element = kept;
      CHECK(std::abs((above - below) / (2 * h) - parameter->grad.data()[i]) < 1e-5 * scale);
    }
  }
}

/// Returns options with dropout everywhere.
[[nodiscard]] inline models::BertOptions with_dropout(models::Tuning tuning) {
  return {.tuning = std::move(tuning),
          .seed = 3,
          .hidden_dropout = 0.2,
          .attention_dropout = 0.3,
          .classifier_dropout = 0.1};
}

}  // namespace lora::test
