// Draws how training runs went: loss and score over the steps, as an SVG file.
//
//     plot_metrics sentiment-adapter/metrics.jsonl --out curves.svg
//     plot_metrics one/metrics.jsonl other/metrics.jsonl --out curves.svg --metrics loss
//
// What it reads are lines of JSON, as lora::train::MetricsLog writes them while a run goes on.

#include <CLI/CLI.hpp>
#include <cstddef>
#include <exception>
#include <fstream>
#include <iostream>
#include <lora/train/metrics_log.hpp>
#include <string>
#include <vector>

#include "chart.hpp"
#include "curves.hpp"

namespace {

void draw(const std::vector<std::string>& files, const std::vector<std::string>& metrics,
          std::size_t smooth, const std::string& out) {
  std::vector<curves::Run> runs;
  for (const std::string& file : files) runs.push_back({file, lora::train::read_metrics(file)});
  const curves::Chart chart(curves::panels_of(runs, metrics), smooth);
  std::ofstream drawing(out, std::ios::binary);
  drawing << chart.svg();
  if (!drawing.flush()) throw lora::FileError(out + ": cannot be written");
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Draws the curves of training runs"};
  std::vector<std::string> files, metrics{"loss", "score"};
  std::size_t smooth = 0;
  std::string out = "curves.svg";
  app.add_option("files", files, "metrics of a run each, as lines of JSON")->required();
  app.add_option("--out", out, "SVG file to draw")->capture_default_str();
  app.add_option("--metrics", metrics, "what is drawn, a panel each")
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--smooth", smooth, "points of the running mean [a twentieth of a curve's]")
      ->check(CLI::Range(1, 1000000));
  CLI11_PARSE(app, argc, argv);
  try {
    draw(files, metrics, smooth, out);
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "plot_metrics: " << error.what() << '\n';
    return 1;
  }
}
