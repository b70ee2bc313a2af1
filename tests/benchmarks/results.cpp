#include "benchmarks/plot/results.hpp"

#include <filesystem>

#include "benchmarks/result_json.hpp"
#include "support/catch.hpp"

using namespace lora;
using namespace lora::bench;
using Catch::Matchers::ContainsSubstring;
using lora::test::result_json;
using lora::test::row_json;

TEST_CASE("rows, counters and context are read") {
  const Results results =
      parse_results(result_json({row_json("frozen/tokens:4/width:16/manual_time", 2000, 1),
                                 row_json("train/tokens:4/width:16/rank:8/manual_time", 500, 4)}),
                    "a.json");
  REQUIRE(results.rows.size() == 2);
  CHECK(results.rows[0].row == RowName{"frozen", 4, 16, std::nullopt});
  CHECK(results.rows[1].row == RowName{"train", 4, 16, 8});
  CHECK(results.rows[1].tokens_per_second == 500);
  CHECK(results.rows[1].over_frozen == 4);
  CHECK(results.context.at("cpu") == "Some <CPU> & more");
  CHECK_FALSE(results.context.contains("num_cpus"));
}

TEST_CASE("means of repeated runs are left out") {
  auto mean = nlohmann::json::parse(row_json("forward/tokens:4/width:16/rank:8_mean", 1, 1));
  mean["run_type"] = "aggregate";
  const std::string row = row_json("forward/tokens:4/width:16/rank:8", 1, 1);
  CHECK(parse_results(result_json({row, mean.dump()}), "a.json").rows.size() == 1);
  CHECK_THROWS_WITH(parse_results(result_json({mean.dump()}), "a.json"),
                    "a.json: no rows, expected at least one");
}

TEST_CASE("what is not a result is refused by name") {
  const auto error_of = [](const std::string& text) {
    CHECK_THROWS_AS(parse_results(text, "a.json"), FileError);
    try {
      static_cast<void>(parse_results(text, "a.json"));
    } catch (const FileError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  const std::string good = result_json({row_json("forward/tokens:4/width:16/rank:8", 1, 1)});
  for (std::size_t length = 0; length + 1 < good.size(); length += 7)
    CHECK(error_of(good.substr(0, length)) == "a.json: not a JSON file, or cut short");
  CHECK(error_of("\xFF\xFE") == "a.json: not a JSON file, or cut short");
  for (const char* text : {"[]", "3", "null", "{}", R"({"benchmarks": 3})"})
    CHECK_THAT(error_of(text), ContainsSubstring("no list \"benchmarks\""));
  CHECK_THAT(error_of(R"({"benchmarks": [3]})"),
             ContainsSubstring("benchmarks[0]: expected an object"));
  CHECK_THAT(error_of(R"({"benchmarks": [{"name": 3}]})"), ContainsSubstring("no name"));
  CHECK_THAT(error_of(result_json({row_json("BM_memcpy/8", 1, 1)})),
             ContainsSubstring("BM_memcpy/8") &&
                 ContainsSubstring("expected a name like forward/tokens:512"));
}

TEST_CASE("rows that failed or lack a counter are refused by name") {
  const std::string name = "forward/tokens:4/width:16/rank:8";
  const auto with = [&](const char* key, const nlohmann::json& value) {
    auto row = nlohmann::json::parse(row_json(name, 1, 1));
    row[key] = value;
    return result_json({row.dump()});
  };
  CHECK_NOTHROW(parse_results(with("error_occurred", false), "a.json"));
  CHECK_THROWS_WITH(parse_results(with("error_occurred", true), "a.json"),
                    "a.json: benchmarks[0] (" + name + "): the benchmark did not finish");
  CHECK_THROWS_AS(parse_results(with("skipped", true), "a.json"), FileError);
  for (const char* counter : {"tokens/s", "GFLOP/s", "frozen_GFLOP/s", "over_frozen"})
    for (const nlohmann::json& bad :
         {nlohmann::json("1"), nlohmann::json(nullptr), nlohmann::json(0), nlohmann::json(-1),
          nlohmann::json(1e300), nlohmann::json(1e-300)})
      CHECK_THROWS_WITH(parse_results(with(counter, bad), "a.json"),
                        ContainsSubstring(name) && ContainsSubstring(counter) &&
                            ContainsSubstring("expected a number"));
}

TEST_CASE("a file that is not there is refused by name") {
  const auto nowhere = std::filesystem::temp_directory_path() / "lora-no-such-result.json";
  CHECK_THROWS_WITH(read_results(nowhere.string()), nowhere.string() + ": cannot be opened");
  CHECK_THROWS_AS(read_results(std::filesystem::temp_directory_path().string()), FileError);
}
