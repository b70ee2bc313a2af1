#pragma once

#include <string_view>
#include <vector>

#include "lora/core/error.hpp"
#include "lora/core/matrix.hpp"
#include "lora/layers/adapter_routes.hpp"
#include "lora/nn/sequences.hpp"

namespace lora::models {

/// Throws, naming `where`, unless `routes` are bound, so that all layers of a model compute with
/// the adapters of one moment (StateError), and are of `count` inputs, called `what` (ShapeError).
inline void require_routes(const AdapterRoutes& routes, Index count, std::string_view what,
                           std::string_view where) {
  if (routes.snapshot() == nullptr)
    throw StateError(message(where,
                             ": the routes are not bound to the model's adapters: "
                             "AdapterRegistry::bind"));
  if (routes.rows() != count)
    throw ShapeError(message(where, ": the routes are of ", routes.rows(), " ", what,
                             ", expected the ", count, " of the batch"));
}

/// Does the same for texts.
inline void require_text_routes(const AdapterRoutes& routes, Index texts, std::string_view where) {
  require_routes(routes, texts, "texts", where);
}

/// Returns the routes of the rows of `sequences` from those of its texts.
[[nodiscard]] inline AdapterRoutes row_routes(const AdapterRoutes& texts,
                                              const Sequences& sequences) {
  std::vector<int> lengths;
  for (Index b = 0; b < sequences.size(); ++b)
    lengths.push_back(static_cast<int>(sequences[b].rows));
  return texts.expanded(lengths);
}

}  // namespace lora::models
