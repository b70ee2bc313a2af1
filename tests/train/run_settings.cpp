#include <lora/train/run_settings.hpp>

#include <cmath>
#include <limits>
#include <vector>

#include "support/catch.hpp"
#include "support/throws.hpp"

using namespace lora;
using lora::test::check_throws;
using lora::train::RunSettings;

namespace {

RunSettings some_settings(double alpha = 16) {
  return RunSettings().add("rank", 8).add("alpha", alpha).add("dropout", 0.1).add("data", "a\nb");
}

RunSettings through_a_file(const RunSettings& settings) {
  return RunSettings::parse(settings.text(), "file");
}

}  // namespace

TEST_CASE("the same settings go on, also after they went through a file") {
  some_settings().require_same(some_settings(), "file");
  some_settings().require_same(through_a_file(some_settings()), "file");
  const auto exact = [] {
    return RunSettings()
        .add("seed", std::numeric_limits<std::uint64_t>::max())
        .add("third", 1.0 / 3)
        .add("targets", std::vector<std::string>{"query", "value"})
        .add("none", nullptr)
        .add("path", "not UTF-8: \xFF");
  };
  exact().require_same(through_a_file(exact()), "file");
  CHECK(RunSettings().empty());
  CHECK_FALSE(exact().empty());
}

TEST_CASE("other settings are refused, and the first that differs is named") {
  const auto refuse = [](const RunSettings& now, const RunSettings& saved,
                         const std::string& what) {
    check_throws<ConfigError>([&] { now.require_same(through_a_file(saved), "run.safetensors"); },
                              "run.safetensors: is of a run " + what);
  };
  refuse(some_settings(16), some_settings(8), "with alpha = 8.0, expected this one's 16.0");
  refuse(RunSettings().add("rank", 8), RunSettings().add("rank", 8.5),
         "with rank = 8.5, expected this one's 8");
  refuse(some_settings().add("warmup", 0.5), some_settings(),
         "without warmup, expected this one's 0.5");
  refuse(some_settings(), some_settings().add("warmup", 0.5),
         "with \"warmup\" = 0.5, which this one does not have");
  // Text of files is shown escaped.
  refuse(RunSettings().add("data", "x"), RunSettings().add("data", "\x1b[31m"),
         "with data = \"\\u001b[31m\", expected this one's \"x\"");
}

TEST_CASE("a setting is added once, and its number is finite") {
  check_throws<ConfigError>([] { some_settings().add("alpha", 1); }, "\"alpha\" was added before");
  check_throws<ConfigError>([] { some_settings().add(some_settings()); }, "was added before");
  for (const double bad : {std::nan(""), std::numeric_limits<double>::infinity()}) {
    check_throws<ConfigError>([&] { RunSettings().add("alpha", bad); }, "RunSettings: alpha is ");
    const std::vector<std::vector<double>> deep{{1, 2}, {3, bad}};
    check_throws<ConfigError>([&] { RunSettings().add("alphas", deep); },
                              "RunSettings: alphas is ");
  }
}

TEST_CASE("settings of a broken file are refused") {
  for (const char* bad : {"", "{}", "[1]", "[[\"a\"]]", "[[1, 2]]", "[[\"a\", 1, 2]]", "null"})
    check_throws<FileError>([&] { static_cast<void>(RunSettings::parse(bad, "the-file")); },
                            "the-file");
}
