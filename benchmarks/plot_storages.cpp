// Draws what storages/run.py measured, as an SVG file:
//
//     plot_storages <storages.json> <drawing.svg>
//
// A file that cannot be read, or is not such a result, is an error with a message and exit code 1;
// so is a drawing that cannot be written.

#include <exception>
#include <fstream>
#include <iostream>
#include <lora/core/error.hpp>
#include <string>

#include "plot/storage_chart.hpp"
#include "plot/storage_results.hpp"

namespace lora::bench {
namespace {

void draw(const std::string& in, const std::string& out) {
  const StorageChart chart(read_storage_results(in));
  std::ofstream file(out, std::ios::binary);
  file << chart.svg();
  if (!file.flush()) throw FileError(out + ": cannot be written");
}

}  // namespace
}  // namespace lora::bench

int main(int argc, char** argv) {
  try {
    if (argc != 3)
      throw lora::ConfigError(lora::message("there are ", argc - 1,
                                            " arguments, expected plot_storages <storages.json> "
                                            "<drawing.svg>"));
    lora::bench::draw(argv[1], argv[2]);
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "plot_storages: " << error.what() << '\n';
    return 1;
  }
}
