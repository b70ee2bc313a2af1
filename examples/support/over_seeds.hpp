#pragma once

#include <optional>
#include <vector>

namespace examples {

/// Collects one number of each seed's results, get(results), where there is one.
template <class Seeds, class Get>
[[nodiscard]] std::vector<double> over_seeds(const Seeds& seeds, const Get& get) {
  std::vector<double> numbers;
  for (const auto& results : seeds)
    if (const std::optional<double> number = get(results)) numbers.push_back(*number);
  return numbers;
}

}  // namespace examples
