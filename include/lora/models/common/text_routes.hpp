#pragma once

#include <string_view>
#include <vector>

#include "lora/core/error.hpp"
#include "lora/core/matrix.hpp"
#include "lora/layers/adapter_routes.hpp"
#include "lora/nn/sequences.hpp"

namespace lora::models {

/// Throws, naming `where`, unless `routes` are bound, so that all layers of a model compute with
/// the adapters of one moment (StateError), and are of `texts` texts (ShapeError).
inline void require_text_routes(const AdapterRoutes& routes, Index texts, std::string_view where) {
  if (routes.snapshot() == nullptr)
    throw StateError(message(where,
                             ": the routes are not bound to the model's adapters: "
                             "AdapterRegistry::bind"));
  if (routes.rows() != texts)
    throw ShapeError(message(where, ": the routes are of ", routes.rows(), " texts, expected the ",
                             texts, " of the batch"));
}

/// Throws StateError, naming `where`, if embeddings are `adapted`: the active adapter would serve
/// all texts, whatever the routes say.
inline void require_frozen_embeddings(bool adapted, std::string_view where) {
  if (adapted)
    throw StateError(message(where,
                             ": an embedding has adapters, which mixed batches do not route: "
                             "compute the texts of each adapter by themselves"));
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
