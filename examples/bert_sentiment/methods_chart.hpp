#pragma once

#include <string>
#include <utility>
#include <vector>

#include "../support/methods_chart.hpp"
#include "methods_report.hpp"

namespace sentiment {

/// Returns the drawing of a comparison of at least one seed and one method. `caption` says what was
/// measured.
[[nodiscard]] inline examples::MethodsChart methods_chart(
    const std::vector<std::vector<Result>>& results, std::string caption) {
  return {examples::method_points(results, &Result::test, &Result::similarity),
          {.title = "Ways of adapting BERT to sentiment",
           .score = "accuracy on test sentences, %",
           .kept = "cosine to the base's embeddings",
           .families = {"LoRA (rank)", "full fine-tuning", "bottleneck adapters (width)",
                        "last layers (number)", "head alone"},
           .caption = std::move(caption)}};
}

}  // namespace sentiment
