#include <lora/train/metrics_log.hpp>

#include <cmath>
#include <fstream>

#include "support/catch.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"
#include "support/whole_file.hpp"

using namespace lora;
using namespace lora::test;
using namespace lora::train;

TEST_CASE("metrics are lines of JSON, readable while they are written") {
  const TemporaryDirectory folder;
  MetricsLog log(folder / "metrics.jsonl");
  CHECK(read_metrics(folder / "metrics.jsonl").empty());
  log.add({{"step", 1}, {"loss", 0.1}, {"learning_rate", 1e-5}});
  log.add({{"step", 2}, {"loss", -3}, {"gradient_norm", std::nan("")}});
  CHECK(read_whole(folder / "metrics.jsonl") ==
        "{\"step\": 1, \"loss\": 0.1, \"learning_rate\": 1e-05}\n"
        "{\"step\": 2, \"loss\": -3.0, \"gradient_norm\": null}\n");
  const auto metrics = read_metrics(folder / "metrics.jsonl");
  CHECK(metrics == std::vector<Metrics>{{{"step", 1}, {"loss", 0.1}, {"learning_rate", 1e-5}},
                                        {{"step", 2}, {"loss", -3}}});
  // A new run begins anew.
  const MetricsLog again(folder / "metrics.jsonl");
  CHECK(read_whole(folder / "metrics.jsonl").empty());
}

TEST_CASE("a run that goes on takes away what it did after its checkpoint") {
  const TemporaryDirectory folder;
  const auto path = folder / "metrics.jsonl";
  // The spaces stay as they are; the last line is what a killed program left.
  std::ofstream(path)
      << "{\"step\":1,  \"loss\": 3}\n{\"step\": 2, \"loss\": 2}\n"
         "{\"step\": 2, \"score\": 50}\n{\"step\": 3, \"loss\": 1}\n{\"step\": 4, \"lo";
  MetricsLog(path, 2).add({{"step", 3}, {"loss", 1.5}});
  CHECK(read_whole(path) ==
        "{\"step\":1,  \"loss\": 3}\n{\"step\": 2, \"loss\": 2}\n{\"step\": 2, \"score\": 50}\n"
        "{\"step\": 3, \"loss\": 1.5}\n");
  // Where there is no file it is begun.
  MetricsLog(folder / "other", 2).add({{"step", 3}});
  CHECK(read_whole(folder / "other") == "{\"step\": 3}\n");
}

TEST_CASE("what is no line of metrics is refused, with its number") {
  const auto refuse = [](const std::string& text, const std::string& message) {
    check_throws<FileError>([&] { static_cast<void>(parse_metrics(text, "m")); }, message);
  };
  refuse("{\"step\": 1}\nnonsense\n", "m:2: not valid JSON");
  refuse("[1]\n", "m:1: expected an object, not [1]");
  refuse("{\"step\": 1}\n{\"loss\": \"high\"}\n", "m:2: \"loss\" is \"high\", expected a number");
  refuse("\n", "m:1: ");
  CHECK(parse_metrics("", "m").empty());
  const TemporaryDirectory folder;
  check_throws<FileError>([&] { static_cast<void>(read_metrics(folder / "none")); },
                          "none: cannot open");
  check_throws<FileError>([&] { MetricsLog(folder / "no/folder"); }, "no/folder");
}
