#include "benchmarks/plot/storage_chart.hpp"

#include <nlohmann/json.hpp>

#include "benchmarks/count_of.hpp"
#include "benchmarks/plot/storage_results.hpp"
#include "benchmarks/well_formed.hpp"
#include "support/catch.hpp"

using namespace lora;
using namespace lora::bench;
using lora::test::count_of;
using lora::test::fault_of_xml;

namespace {

nlohmann::json storage_row(const char* side, const char* storage, int tokens, int threads,
                           double faster) {
  return {{"side", side},       {"storage", storage},      {"tokens", tokens},
          {"threads", threads}, {"bytes_per_weight", 0.5}, {"faster_than_float32", faster}};
}

nlohmann::json small_storage_result() {
  nlohmann::json json;
  json["context"] = {{"cpu", "Some <CPU> & more"}, {"bitsandbytes", "0.50.2"}, {"turns", 5}};
  json["rows"] = {storage_row("here", "int8", 1, 2, 2.5), storage_row("here", "NF4", 1, 2, 7),
                  storage_row("bitsandbytes", "NF4", 1, 2, 0.25),
                  storage_row("here", "NF4", 16, 2, 1.5), storage_row("here", "NF4", 1, 1, 60)};
  return json;
}

StorageResults parse_storage(const nlohmann::json& json) {
  return parse_storage_results(json.dump(), "a.json");
}

std::string storage_error_of(const nlohmann::json& json) {
  try {
    static_cast<void>(parse_storage(json));
    return "";
  } catch (const FileError& error) {
    return error.what();
  }
}

}  // namespace

TEST_CASE("a comparison of storages is read") {
  const StorageResults results = parse_storage(small_storage_result());
  REQUIRE(results.rows.size() == 5);
  CHECK(results.rows[2].side == "bitsandbytes");
  CHECK(results.rows[2].storage == "NF4");
  CHECK(results.rows[2].bytes_per_weight == 0.5);
  CHECK(results.rows[2].faster_than_float32 == 0.25);
  CHECK(results.rows[3].tokens == 16);
  CHECK(results.rows[3].threads == 2);
  CHECK(results.context.at("bitsandbytes") == "0.50.2");
  CHECK_FALSE(results.context.contains("turns"));
}

TEST_CASE("a file that is no comparison of storages is refused by name") {
  CHECK_THROWS_WITH(parse_storage_results("{", "a.json"), "a.json: not a JSON file, or cut short");
  CHECK_THROWS_WITH(parse_storage_results("{}", "a.json"),
                    "a.json: no list \"rows\", expected a result of storages/run.py");
  CHECK_THROWS_WITH(parse_storage_results("{\"rows\": []}", "a.json"),
                    "a.json: no rows, expected at least one");
  CHECK_THROWS_WITH(parse_storage_results("{\"rows\": [3]}", "a.json"),
                    "a.json: rows[0]: expected an object with \"side\"");
  for (const char* key :
       {"side", "storage", "tokens", "threads", "bytes_per_weight", "faster_than_float32"}) {
    nlohmann::json json = small_storage_result();
    json["rows"][1].erase(key);
    CHECK(storage_error_of(json).find("a.json: rows[1]") == 0);
    for (const nlohmann::json& bad :
         {nlohmann::json(true), nlohmann::json(-1), nlohmann::json(1e30), nlohmann::json()}) {
      json["rows"][1][key] = bad;
      CHECK(storage_error_of(json).find(key) != std::string::npos);
    }
  }
  CHECK_THROWS_AS(read_storage_results("no/such/file.json"), FileError);
}

TEST_CASE("the drawing of the storages is well-formed and complete") {
  const StorageChart chart(parse_storage(small_storage_result()));
  const std::string svg = chart.svg();
  CAPTURE(svg);
  CHECK(fault_of_xml(svg) == "");
  for (const char* part :
       {"role=\"img\"", ">1 token</text>", ">16 tokens</text>", ">NF4, 0.5 B</text>", ">7</text>",
        ">bitsandbytes</text>", "Some &lt;CPU&gt; &amp; more, 2 threads, bitsandbytes 0.50.2",
        "NF4 of bitsandbytes, 1 token: 0.25."})
    CHECK(svg.find(part) != std::string::npos);
  CHECK(count_of(svg, "<rect class=\"c0\"") == 4);     // three rows and the legend
  CHECK(count_of(svg, "<polygon class=\"c1\"") == 2);  // one row and the legend
  CHECK(svg.find("nan") == std::string::npos);
  CHECK(chart.axis().low() == 0);
  CHECK(chart.axis().high() >= 7);
  CHECK(chart.axis().high() < 60);  // of other threads
}
