#pragma once

#include <string>

#include "models/bert/golden_bert.hpp"
#include "support/catch.hpp"
#include "support/finite_difference.hpp"

namespace lora::test {

/// Returns the relative difference of two matrices of one shape.
template <class T>
[[nodiscard]] double relative(const Matrix<T>& value, const Matrix<T>& reference) {
  REQUIRE(value.rows() == reference.rows());
  REQUIRE(value.cols() == reference.cols());
  return relative_error(value.template cast<double>(), reference.template cast<double>());
}

/// Compares a step with what Python computed: logits (or hidden states) to 1e-4, every gradient to
/// 1e-3, of every parameter that trains and no other.
template <class Model>
void check_results(Model& model, const io::SafetensorsReader& golden, const GoldenBatch& batch) {
  models::BertTape<float> tape;
  Matrix<float> logits, dlogits, inferred;
  const Matrix<float> expected = golden.read<float>("logits");
  model.forward(batch.tokens, inferred);
  CHECK(relative<float>(inferred, expected) < 1e-4);
  const float loss = step(model, batch, tape, logits, dlogits);
  CHECK(tape.empty());
  CHECK(relative<float>(logits, expected) < 1e-4);
  CHECK(loss == Approx(golden.read<float>("loss")(0, 0)).epsilon(1e-4));
  std::size_t gradients = 0;
  for (const auto& [name, view] : golden.tensors()) gradients += name.starts_with("grad.") ? 1 : 0;
  CHECK(gradients > 0);
  for (const Parameter<float>* parameter : model.parameters()) {
    CAPTURE(parameter->name);
    const std::string name = "grad." + parameter->name;
    if (!golden.contains(name)) {
      // Hidden states do not depend on the pooler.
      CHECK(parameter->name.starts_with("pooler."));
      CHECK(parameter->grad.isZero());
      continue;
    }
    --gradients;
    const Matrix<float> reference = golden.read<float>(name);
    // The gradient of a key's bias is zero but for rounding: softmax does not see it.
    if (reference.cwiseAbs().maxCoeff() < 1e-6F)
      CHECK(parameter->grad.cwiseAbs().maxCoeff() < 1e-6F);
    else
      CHECK(relative<float>(parameter->grad, reference) < 1e-3);
  }
  CHECK(gradients == 0);
}

}  // namespace lora::test
