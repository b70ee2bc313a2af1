#pragma once

#include "lora/kernels/coded_rows.hpp"

namespace lora {

/// A W (out, in) in codes as the right side W^T (in, out) of a product in T. `Codes` knows the
/// format; its visit(f) calls f with the CodedRows, once a panel.
template <class T, class Codes>
struct CodedPanels {
  /// Products of at most this many rows decode W in the order of its rows, and transpose no panel.
  static constexpr Index few_rows = 16;

  const Codes* codes;

  [[nodiscard]] static bool pays(Index rows) { return rows > few_rows; }

  [[nodiscard]] kernels::Panel<T> panel(const kernels::PanelRequest& request, T* buffer) const {
    return codes->visit(
        [&](const auto& rows) { return kernels::coded_panel(rows, request, buffer); });
  }
};

/// The same W as the right side W (out, in).
template <class T, class Codes>
struct TransposedCodedPanels {
  const Codes* codes;

  [[nodiscard]] static bool pays(Index rows) { return CodedPanels<T, Codes>::pays(rows); }

  [[nodiscard]] kernels::Panel<T> panel(const kernels::PanelRequest& request, T* buffer) const {
    return codes->visit(
        [&](const auto& rows) { return kernels::transposed_coded_panel(rows, request, buffer); });
  }
};

}  // namespace lora
