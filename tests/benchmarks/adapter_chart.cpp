#include "benchmarks/plot/adapter_chart.hpp"

#include <nlohmann/json.hpp>

#include "benchmarks/count_of.hpp"
#include "benchmarks/plot/adapter_results.hpp"
#include "benchmarks/well_formed.hpp"
#include "support/catch.hpp"

using namespace lora;
using namespace lora::bench;
using lora::test::count_of;
using lora::test::fault_of_xml;

namespace {

nlohmann::json adapter_row(const char* side, int adapters, int threads, double evaluation) {
  nlohmann::json row{{"side", side},
                     {"size", 1024},
                     {"adapters", adapters},
                     {"threads", threads},
                     {"evaluation", evaluation}};
  if (row["side"] == "here") row["training"] = 3 * evaluation;
  return row;
}

nlohmann::json small_adapter_result() {
  nlohmann::json json;
  json["context"] = {{"cpu", "Some <CPU> & more"}, {"peft", "0.21.2"}, {"turns", 5}};
  json["rows"] = {adapter_row("here", 0, 2, 0.5), adapter_row("here", 1, 2, 1),
                  adapter_row("here", 64, 2, 1.25), adapter_row("PEFT", 64, 2, 10),
                  adapter_row("here", 1, 1, 9)};
  return json;
}

std::string adapter_error_of(const nlohmann::json& json) {
  try {
    static_cast<void>(parse_adapter_results(json.dump(), "a.json"));
    return "";
  } catch (const FileError& error) {
    return error.what();
  }
}

}  // namespace

TEST_CASE("a comparison of mixed batches is read") {
  const AdapterResults results = parse_adapter_results(small_adapter_result().dump(), "a.json");
  REQUIRE(results.rows.size() == 5);
  CHECK(results.rows[0].adapters == 0);
  CHECK(results.rows[2].evaluation == 1.25);
  CHECK(results.rows[2].training == 3.75);
  CHECK(results.rows[3].side == "PEFT");
  CHECK_FALSE(results.rows[3].training.has_value());
  CHECK(results.one_of(results.rows[3]) == &results.rows[1]);
  CHECK(results.context.at("peft") == "0.21.2");
}

TEST_CASE("a file that is no comparison of mixed batches is refused by name") {
  CHECK_THROWS_WITH(parse_adapter_results("{}", "a.json"),
                    "a.json: no list \"rows\", expected a result of adapters/run.py");
  for (const char* key : {"side", "size", "adapters", "threads", "evaluation", "training"}) {
    nlohmann::json json = small_adapter_result();
    json["rows"][2].erase(key);
    CHECK(adapter_error_of(json).find("a.json: rows[2]") == 0);
    for (const nlohmann::json& bad : {nlohmann::json(-1), nlohmann::json(1e30), nlohmann::json()}) {
      json["rows"][2][key] = bad;
      CHECK(adapter_error_of(json).find(key) != std::string::npos);
    }
  }
  nlohmann::json json = small_adapter_result();
  json["rows"].erase(1);  // with which the others are compared
  CHECK(adapter_error_of(json).find("a.json: rows[0]: there is no row of one adapter") == 0);
  CHECK_THROWS_AS(read_adapter_results("no/such/file.json"), FileError);
}

TEST_CASE("the drawing of mixed batches is well-formed and complete") {
  const AdapterChart chart(parse_adapter_results(small_adapter_result().dump(), "a.json"));
  const std::string svg = chart.svg();
  CAPTURE(svg);
  CHECK(fault_of_xml(svg) == "");
  for (const char* part : {"role=\"img\"", ">evaluation</text>", ">training step</text>",
                           ">1024 wide, no routes</text>", ">1024 wide, 1 adapter</text>",
                           ">0.8</text>", "Some &lt;CPU&gt; &amp; more, 2 threads, PEFT 0.21.2",
                           "1024 wide, 64 adapters in PEFT: evaluation 0.1."})
    CHECK(svg.find(part) != std::string::npos);
  CHECK(count_of(svg, "<rect class=\"c0\"") == 2 * 3 + 1);  // three rows and the legend
  CHECK(count_of(svg, "<polygon class=\"c1\"") == 2);       // one row and the legend
  CHECK(svg.find("nan") == std::string::npos);
  CHECK(chart.axis().low() == 0);
  CHECK(chart.axis().high() >= 2);
  CHECK(chart.axis().high() < 9);  // other threads are not drawn
}
