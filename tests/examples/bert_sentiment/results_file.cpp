#include "examples/bert_sentiment/results_file.hpp"

#include "support/catch.hpp"
#include "support/temporary_directory.hpp"

using namespace sentiment;

TEST_CASE("a file of results gives back what was noted before the program was killed") {
  const lora::test::TemporaryDirectory folder;
  const auto path = folder / "out/results.jsonl";
  const auto settings = [](int epochs) { return lora::train::RunSettings().add("epochs", epochs); };
  const Result one{.method = "DoRA",
                   .family = Family::lora,
                   .learning_rate = 1e-3,
                   .trainable = 7,
                   .validation = 1.0 / 3,
                   .test = 90,
                   .stored = 12,
                   .similarity_off = 0.5};
  {
    ResultsFile file(path, settings(3), true);  // there is none yet
    CHECK(file.find("a") == nullptr);
    file.add("a", one);
    CHECK(file.find("a") != nullptr);
  }
  std::ofstream(path, std::ios::app) << "[\"b\", {\"meth";
  for (int times = 0; times < 2; ++times) {
    ResultsFile file(path, settings(3), true);
    REQUIRE(file.find("a") != nullptr);
    CHECK(to_json(*file.find("a")) == to_json(one));
    CHECK(file.find("b") == nullptr);
  }
  CHECK_THROWS_AS(ResultsFile(path, settings(4), true), lora::ConfigError);
  {
    ResultsFile file(path, settings(3), true);
    CHECK(file.find("a") != nullptr);  // is there still
    file.add("c", {});
  }
  std::ofstream(path, std::ios::app) << "[\"b\", 3]\n";
  CHECK_THROWS_AS(ResultsFile(path, settings(3), true), lora::FileError);
  CHECK(ResultsFile(path, settings(4), false).find("a") == nullptr);  // begins anew
}
