#pragma once

#include <optional>
#include <utility>

#include "lora/layers/adapter_routes.hpp"

namespace lora::models {

/// The routes of a mixed batch, on the tape of a model: forward and backward follow the same.
class TapeRoutes {
 public:
  /// Forgets them: the next batch is not mixed.
  void clear() { routes_.reset(); }

  /// Notes the routes of a batch's texts, of all of its rows, and of those that the last layer
  /// computes.
  void assign(AdapterRoutes texts, AdapterRoutes all, AdapterRoutes last) {
    routes_.emplace(Routes{std::move(texts), std::move(all), std::move(last)});
  }

  /// Returns the routes of the texts, or null where the batch is not mixed.
  [[nodiscard]] const AdapterRoutes* texts() const { return routes_ ? &routes_->texts : nullptr; }

  /// Returns those of all rows, or null.
  [[nodiscard]] const AdapterRoutes* all() const { return routes_ ? &routes_->all : nullptr; }

  /// Returns those of the rows that the last layer computes, or null.
  [[nodiscard]] const AdapterRoutes* last() const { return routes_ ? &routes_->last : nullptr; }

 private:
  struct Routes {
    AdapterRoutes texts, all, last;
  };

  std::optional<Routes> routes_;
};

}  // namespace lora::models
