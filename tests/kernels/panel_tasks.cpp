#include <lora/kernels/panel_tasks.hpp>

#include "support/catch.hpp"

using namespace lora;

TEST_CASE("tasks cover every element of a result once") {
  constexpr Index width = kernels::PanelTasks<float>::width;
  for (const Index rows : {1, 127, 128, 129, 500})
    for (const Index columns : {Index{1}, width, width + 1, 7 * width, 8 * width + 3}) {
      CAPTURE(rows, columns);
      const kernels::PanelTasks<float> tasks(rows, columns);
      Index covered = 0;
      for (Index task = 0; task < tasks.count; ++task) {
        CHECK(tasks.column(task) % width == 0);
        CHECK(tasks.row(task) % tasks.band == 0);
        covered += std::min(tasks.band, rows - tasks.row(task)) *
                   std::min(width, columns - tasks.column(task));
      }
      CHECK(covered == rows * columns);
    }
}

TEST_CASE("where there are panels enough to share, each is one task") {
  constexpr Index width = kernels::PanelTasks<float>::width;
  CHECK(kernels::PanelTasks<float>(1000, 8 * width).count == 8);
  CHECK(kernels::PanelTasks<float>(1000, 2 * width).count == 2 * 8);
}

TEST_CASE("a result without rows or columns has no tasks") {
  CHECK(kernels::PanelTasks<float>(0, 10).count == 0);
  CHECK(kernels::PanelTasks<float>(10, 0).count == 0);
}
