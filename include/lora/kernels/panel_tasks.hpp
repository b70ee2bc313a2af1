#pragma once

#include <algorithm>

#include "lora/core/matrix.hpp"
#include "lora/kernels/tile_shape.hpp"

namespace lora::kernels {

/// The tasks into which a product's result (rows, columns) is cut: panels of columns, and bands of
/// rows where there are too few panels to share. What an element is summed from, and in which
/// order, does not depend on the cut.
template <class T>
struct PanelTasks {
  static constexpr Index width = TileShape<T>::columns;

  PanelTasks(Index row_count, Index column_count) : rows(row_count), columns(column_count) {
    const Index panels = (columns + width - 1) / width;
    // A panel is packed again for each band, which 128 rows outweigh.
    band = panels >= 8 ? rows : std::min(rows, Index{128});
    bands = band == 0 ? 0 : (rows + band - 1) / band;
    count = panels * bands;
  }

  /// Returns the first column of task `task`.
  [[nodiscard]] Index column(Index task) const { return task / bands * width; }

  /// Returns the first row of task `task`.
  [[nodiscard]] Index row(Index task) const { return task % bands * band; }

  Index rows;
  Index columns;
  Index band;  // rows a task
  Index bands;
  Index count;  // of tasks
};

}  // namespace lora::kernels
