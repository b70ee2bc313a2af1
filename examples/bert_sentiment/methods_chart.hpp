#pragma once

#include <cstddef>
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
  std::vector<examples::MethodPoint> points;
  const auto& rows = results.front();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto of = [&](const auto& get) {
      return over_seeds(results, i, [&](const Result& r) { return std::optional<double>(get(r)); });
    };
    const std::vector<double> scores = of([](const Result& r) { return r.test; });
    points.push_back({static_cast<std::size_t>(rows[i].family), rows[i].method,
                      static_cast<double>(rows[i].trainable), examples::mean(scores),
                      examples::spread(scores),
                      examples::mean(of([](const Result& r) { return r.similarity; }))});
  }
  return {std::move(points),
          {.title = "Ways of adapting BERT to sentiment",
           .score = "accuracy on test sentences, %",
           .kept = "cosine to the base's embeddings",
           .families = {"LoRA (rank)", "full fine-tuning", "bottleneck adapters (width)",
                        "last layers (number)", "head alone"},
           .caption = std::move(caption)}};
}

}  // namespace sentiment
