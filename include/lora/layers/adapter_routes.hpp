#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lora/core/error.hpp"
#include "lora/core/matrix.hpp"
#include "lora/core/printable.hpp"
#include "lora/kernels/row_groups.hpp"
#include "lora/layers/adapter_set.hpp"
#include "lora/layers/adapter_snapshot.hpp"

namespace lora {

/// The adapter that each row of a batch is computed with: a mixed batch (PEFT's adapter_names).
/// Rows of one adapter need not be neighbours. Rows of `base_adapter`, "__base__", have none, and
/// those of `active_adapters`, "__active__", have the one that is active in the layer, if any.
///
///     const AdapterRoutes routes({"french", "german", "__base__", "french"});
///     layer.forward(x, routes, y);
///
/// A layer looks the names up in its own adapters when it computes, and throws ConfigError for one
/// that it does not have. With routes that are bound to a snapshot, all layers of a model compute
/// with the adapters of that moment; a layer that lacks one of the names then adds nothing to its
/// rows, and `bind` refuses a name that no layer has.
///
/// A value that is cheap to copy. Const members may be called by several threads at once.
class AdapterRoutes {
 public:
  /// What the rows are sorted into: names[g] is the adapter of group g.
  struct Layout {
    std::vector<std::string> names;
    RowGroups groups;
    std::string only_active;  // the only adapter that may be the active one; empty: any
  };

  /// Routes a batch of no rows.
  AdapterRoutes() : AdapterRoutes(std::vector<std::string>{}) {}

  /// Routes one row to each name. Throws ConfigError for an empty one.
  explicit AdapterRoutes(const std::vector<std::string>& rows) { assign(rows); }

  /// Routes sequences that lie one after the other in the batch: lengths[i] rows to names[i].
  /// Throws ShapeError unless there are as many lengths as names, of at least 0 each, and
  /// ConfigError for an empty name.
  AdapterRoutes(const std::vector<std::string>& names, std::span<const int> lengths) {
    assign(names, lengths);
  }

  /// Routes another batch, one row to each name, bound to nothing. From the third call of the same
  /// shapes on it allocates nothing, unless a copy or a tape keeps what was there. Throws
  /// ConfigError for an empty name, and then nothing has changed.
  void assign(const std::vector<std::string>& rows) {
    build(rows, [](std::size_t) { return 1; });
  }

  /// Does the same for sequences; throws as the constructor.
  void assign(const std::vector<std::string>& names, std::span<const int> lengths) {
    if (lengths.size() != names.size())
      throw ShapeError(message("AdapterRoutes: ", lengths.size(),
                               " lengths, expected one for each "
                               "of ",
                               names.size(), " names"));
    for (std::size_t i = 0; i < lengths.size(); ++i)
      if (lengths[i] < 0)
        throw ShapeError(
            message("AdapterRoutes: length ", i, " is ", lengths[i], ", expected at least 0"));
    build(names, [&](std::size_t i) { return lengths[i]; });
  }

  /// Computes with the adapters of `snapshot` from now on; null: with those that the layers have
  /// when they compute. Throws ConfigError for a name that none of its layers has, and then nothing
  /// has changed.
  void bind(std::shared_ptr<const AdapterSnapshot> snapshot) {
    if (snapshot != nullptr)
      for (const std::string& name : names())
        if (!snapshot->has(name))
          throw ConfigError(message("AdapterRoutes::bind: row ", first_row(name),
                                    " is routed to an adapter called ", in_quotes(name),
                                    ", which no layer has", list(snapshot->names())));
    snapshot_ = std::move(snapshot);
  }

  /// Returns the routes of a batch that has lengths[i] rows, one after the other, for row i of this
  /// one: of tokens, where this routes texts. They are bound to the same snapshot. Throws
  /// ShapeError unless there are as many lengths as rows, of at least 0 each.
  [[nodiscard]] AdapterRoutes expanded(std::span<const int> lengths) const {
    if (static_cast<Index>(lengths.size()) != rows())
      throw ShapeError(message("AdapterRoutes::expanded: ", lengths.size(),
                               " lengths, expected one for each of ", rows(), " rows"));
    std::vector<Index> begins;
    Index all = 0;
    for (const int length : lengths) {
      if (length < 0)
        throw ShapeError(message("AdapterRoutes::expanded: length ", begins.size(), " is ", length,
                                 ", expected at least 0"));
      begins.push_back(all);
      all += length;
    }
    auto layout = std::make_shared<Layout>();
    layout->groups.clear(all);
    const RowGroups& mine = layout_->groups;
    for (const RowGroups::Run& group : mine.groups()) {
      layout->names.push_back(names()[static_cast<std::size_t>(group.group)]);
      layout->groups.begin_group();
      for (Index i = 0; i < group.count; ++i) {
        const auto row = static_cast<std::size_t>(mine.row(group.first + i));
        layout->groups.add(begins[row], lengths[row]);
      }
    }
    layout->groups.finish();
    layout->only_active = layout_->only_active;
    AdapterRoutes result;
    result.layout_ = std::move(layout);
    result.snapshot_ = snapshot_;
    result.may_lack_ = may_lack_;
    return result;
  }

  /// Lets layers that lack an adapter add nothing to its rows, as they do where the routes are
  /// bound to a snapshot, until the next assign.
  void let_layers_lack_adapters() { may_lack_ = true; }

  /// Lets layers compute rows of active_adapters with the adapter called `name` or none, until the
  /// next assign: they throw StateError where another is active. Copies stay as they are.
  void let_only_be_active(std::string name) {
    auto own = std::make_shared<Layout>(*layout_);  // copies and tapes may hold the other
    own->only_active = std::move(name);
    layout_ = std::move(own);
  }

  /// Tells whether layers may lack the adapters that are named.
  [[nodiscard]] bool layers_may_lack_adapters() const { return may_lack_ || snapshot_ != nullptr; }

  /// Returns the rows of the batch.
  [[nodiscard]] Index rows() const { return layout_->groups.rows(); }

  /// Lists the adapters that rows are routed to, each once.
  [[nodiscard]] const std::vector<std::string>& names() const { return layout_->names; }

  // For the layers that compute with it.

  [[nodiscard]] std::shared_ptr<const Layout> layout() const { return layout_; }
  [[nodiscard]] const std::shared_ptr<const AdapterSnapshot>& snapshot() const { return snapshot_; }

 private:
  template <class Length>
  void build(const std::vector<std::string>& names, const Length& length) {
    for (std::size_t i = 0; i < names.size(); ++i)
      if (names[i].empty())
        throw ConfigError(message("AdapterRoutes: name ", i,
                                  " is empty: rows without an adapter "
                                  "are called ",
                                  in_quotes(base_adapter)));
    // By name, and those of one name in their order.
    sorted_.resize(names.size());
    begins_.resize(names.size());
    Index rows = 0;
    for (std::size_t i = 0; i < names.size(); ++i) {
      sorted_[i] = i;
      begins_[i] = rows;
      rows += length(i);
    }
    std::sort(sorted_.begin(), sorted_.end(), [&](std::size_t a, std::size_t b) {
      const int order = names[a].compare(names[b]);
      return order < 0 || (order == 0 && a < b);
    });
    if (spare_ != nullptr && spare_.use_count() == 1) {
      // A copy that was dropped in another thread has been read there: this waits for that.
      const std::shared_ptr<Layout> last_owner = spare_;
    } else {
      spare_ = std::make_shared<Layout>();
    }
    Layout& layout = *spare_;
    layout.groups.clear(rows);
    std::size_t count = 0;
    for (const std::size_t i : sorted_) {
      if (names[i] == base_adapter || length(i) == 0) continue;
      if (count == 0 || layout.names[count - 1] != names[i]) {
        if (count == layout.names.size())
          layout.names.push_back(names[i]);
        else
          layout.names[count] = names[i];
        ++count;
        layout.groups.begin_group();
      }
      layout.groups.add(begins_[i], length(i));
    }
    layout.names.resize(count);
    layout.groups.finish();
    layout_.swap(spare_);
    layout_->only_active.clear();
    snapshot_ = nullptr;
    may_lack_ = false;
  }

  [[nodiscard]] Index first_row(std::string_view name) const {
    for (std::size_t g = 0; g < names().size(); ++g)
      if (names()[g] == name) return layout_->groups.row(layout_->groups.groups()[g].first);
    return 0;
  }

  static std::string list(const std::vector<std::string>& names) {
    std::string all;
    for (const std::string& name : names) all += (all.empty() ? ", only " : ", ") + in_quotes(name);
    return all;
  }

  std::shared_ptr<Layout> layout_;
  std::shared_ptr<Layout> spare_;  // that of the batch before
  std::shared_ptr<const AdapterSnapshot> snapshot_;
  bool may_lack_ = false;
  std::vector<std::size_t> sorted_;
  std::vector<Index> begins_;
};

}  // namespace lora
