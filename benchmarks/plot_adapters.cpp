// Draws what adapters/run.py measured, as an SVG file:
//
//     plot_adapters <adapters.json> <drawing.svg>
//
// A file that cannot be read, or is not such a result, is an error with a message and exit code 1;
// so is a drawing that cannot be written.

#include <string>

#include "plot/adapter_chart.hpp"
#include "plot/adapter_results.hpp"
#include "plot/program.hpp"

int main(int argc, char** argv) {
  using namespace lora::bench;
  return run_program_on_file(
      "plot_adapters", "<adapters.json>", argc, argv,
      [](const std::string& file) { return AdapterChart(read_adapter_results(file)).svg(); });
}
