#pragma once

#include "lora/layers/adapter_routes.hpp"
#include "lora/models/common/packed_batch.hpp"

namespace lora::models {

/// The rows of a packed batch that a block of a model computes; N tokens are its keys, Q of them
/// its queries. Views the batch, which must outlive it.
struct TokenRows {
  const PackedBatch* batch = nullptr;
  ReadRows read = ReadRows::all;
  const AdapterRoutes* routes = nullptr;        ///< of the keys' rows in a mixed batch
  const AdapterRoutes* query_routes = nullptr;  ///< of the queries'

  /// Tells whether every token is computed: Q = N.
  [[nodiscard]] bool all() const { return read == ReadRows::all; }

  [[nodiscard]] const Sequences& queries() const { return batch->sequences(read); }
  [[nodiscard]] const Sequences& keys() const { return batch->sequences(); }

  /// Returns Q.
  [[nodiscard]] Index count() const { return queries().rows(); }
};

}  // namespace lora::models
