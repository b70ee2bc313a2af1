// Draws what storages/run.py measured, as an SVG file:
//
//     plot_storages <storages.json> <drawing.svg>
//
// A file that cannot be read, or is not such a result, is an error with a message and exit code 1;
// so is a drawing that cannot be written.

#include <string>

#include "plot/program.hpp"
#include "plot/storage_chart.hpp"
#include "plot/storage_results.hpp"

int main(int argc, char** argv) {
  using namespace lora::bench;
  return run_program_on_file(
      "plot_storages", "<storages.json>", argc, argv,
      [](const std::string& file) { return StorageChart(read_storage_results(file)).svg(); });
}
