#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lora/core/error.hpp"
#include "lora/core/matrix.hpp"
#include "lora/core/printable.hpp"
#include "lora/layers/adapter_owner.hpp"
#include "lora/layers/adapter_routes.hpp"
#include "lora/peft/peft_config.hpp"

namespace lora::models {

/// The rows of a batch that the rows of trainable_token_indices act in, as TrainableTokens takes
/// them: those of texts that a mixed batch routes to the model's own adapter, "default", to which
/// they belong. All rows of other batches, those that aLoRA routes included.
class OwnRows {
 public:
  /// Finds them. `routes` may be null.
  explicit OwnRows(const AdapterRoutes* routes) {
    if (routes == nullptr || routes->snapshot() == nullptr) return;
    chosen_.assign(static_cast<std::size_t>(routes->rows()), 0);
    const std::shared_ptr<const AdapterRoutes::Layout> layout = routes->layout();
    for (const RowGroups::Run& group : layout->groups.groups()) {
      if (layout->names[static_cast<std::size_t>(group.group)] != default_adapter) continue;
      for (Index i = 0; i < group.count; ++i)
        chosen_[static_cast<std::size_t>(layout->groups.row(group.first + i))] = 1;
    }
  }

  /// Returns 1 for each of them and 0 for others; nothing where all are.
  [[nodiscard]] std::span<const char> chosen() const { return chosen_; }

 private:
  std::vector<char> chosen_;
};

/// Throws StateError, naming `where`, where a model has rows of trainable_token_indices and
/// `routes` leave it to the layers whose texts have them.
inline void refuse_active_tokens(const peft::PeftConfig& config, const AdapterRoutes& routes,
                                 std::string_view where) {
  if (config.trainable_token_indices.empty()) return;
  for (const std::string& name : routes.names())
    if (name == active_adapters)
      throw StateError(message(where, ": the model's rows of trainable_token_indices belong to ",
                               in_quotes(default_adapter), ", and texts are routed to ",
                               in_quotes(active_adapters), ": name their adapter"));
}

}  // namespace lora::models
