#include "benchmarks/plot/peer_chart.hpp"

#include <nlohmann/json.hpp>

#include "benchmarks/count_of.hpp"
#include "benchmarks/plot/peer_results.hpp"
#include "benchmarks/well_formed.hpp"
#include "support/catch.hpp"

using namespace lora;
using namespace lora::bench;
using lora::test::count_of;
using lora::test::fault_of_xml;

namespace {

nlohmann::json peer_row(const std::string& name, int threads, double peft) {
  return {{"case", name},
          {"threads", threads},
          {"figures", {{"seconds", 0.25}, {"faster_than_peft", peft}}}};
}

nlohmann::json small_result() {
  nlohmann::json json;
  json["context"] = {{"cpu", "Some <CPU> & more"}, {"torch", "2.13.0"}, {"turns", 20}};
  json["rows"] = {peer_row("train/tokens:512/width:1024/rank:16", 1, 2.5),
                  peer_row("forward/tokens:1/width:64/rank:8", 1, 0.5),
                  peer_row("train/tokens:512/width:1024/rank:16", 2, 3)};
  json["rows"][0]["figures"]["faster_than_libtorch"] = 0.5;
  return json;
}

PeerResults parse(const nlohmann::json& json) { return parse_peer_results(json.dump(), "a.json"); }

std::string error_of(const nlohmann::json& json) {
  try {
    static_cast<void>(parse(json));
    return "";
  } catch (const FileError& error) {
    return error.what();
  }
}

}  // namespace

TEST_CASE("a result of the comparison is read") {
  const PeerResults results = parse(small_result());
  REQUIRE(results.rows.size() == 3);
  CHECK(results.rows[0].name == "train/tokens:512/width:1024/rank:16");
  CHECK(results.rows[0].seconds == 0.25);
  CHECK(results.rows[0].faster_than_peft == 2.5);
  CHECK(results.rows[0].faster_than_libtorch == 0.5);
  CHECK_FALSE(results.rows[1].faster_than_libtorch.has_value());
  CHECK(results.rows[2].threads == 2);
  CHECK(results.context.at("torch") == "2.13.0");
  CHECK_FALSE(results.context.contains("turns"));
}

TEST_CASE("a file that is no such result is refused by name") {
  CHECK_THROWS_WITH(parse_peer_results("{", "a.json"), "a.json: not a JSON file, or cut short");
  CHECK_THROWS_WITH(parse_peer_results("{}", "a.json"),
                    "a.json: no list \"rows\", expected a result of peers/run.py");
  CHECK_THROWS_WITH(parse_peer_results("{\"rows\": []}", "a.json"),
                    "a.json: no rows, expected at least one");
  for (const char* key : {"case", "figures", "threads"}) {
    nlohmann::json json = small_result();
    json["rows"][1].erase(key);
    CHECK_THROWS_AS(parse(json), FileError);
  }
  for (const nlohmann::json& bad : {nlohmann::json("fast"), nlohmann::json(-1),
                                    nlohmann::json(1e30), nlohmann::json(nullptr)}) {
    nlohmann::json json = small_result();
    json["rows"][1]["figures"]["faster_than_peft"] = bad;
    CHECK(error_of(json).find("a.json: rows[1]: ") == 0);
    CHECK(error_of(json).find("faster_than_peft") != std::string::npos);
    json = small_result();
    json["rows"][0]["figures"]["faster_than_libtorch"] = bad;
    CHECK_THROWS_AS(parse(json), FileError);
  }
  CHECK_THROWS_AS(read_peer_results("no/such/file.json"), FileError);
}

TEST_CASE("cases have names for a reader") {
  CHECK(peer_case_title("train/tokens:512/width:1024/rank:16") ==
        "training step, 512 tokens, width 1024, rank 16");
  CHECK(peer_case_title("forward/tokens:1/width:64/rank:8") ==
        "forward, 1 token, width 64, rank 8");
  CHECK(peer_case_title("product/tokens:2/width:64") == "frozen product, 2 tokens, width 64");
  CHECK(peer_case_title("adamw/parameters:10485760") == "AdamW step, 10M parameters");
  CHECK(peer_case_title("something else") == "something else");
}

TEST_CASE("the comparison's drawing is well-formed and complete") {
  const PeerChart chart(parse(small_result()));
  const std::string svg = chart.svg();
  CAPTURE(svg);
  CHECK(fault_of_xml(svg) == "");
  for (const char* part : {"role=\"img\"", ">1 thread</text>", ">2 threads</text>",
                           ">training step, 512 tokens, width 1024, rank 16</text>", ">2.5</text>",
                           "Some &lt;CPU&gt; &amp; more, PyTorch 2.13.0",
                           "training step, 512 tokens, width 1024, rank 16, 2 threads: 3."})
    CHECK(svg.find(part) != std::string::npos);
  CHECK(count_of(svg, "<rect class=\"c0\"") == 4);     // three rows and the legend
  CHECK(count_of(svg, "<polygon class=\"c1\"") == 2);  // one row and the legend
  CHECK(svg.find("nan") == std::string::npos);
  // 2.5 of a peer that takes half of this library's time: it is 5 times as fast as PEFT.
  CHECK(chart.axis().low() == 0);
  CHECK(chart.axis().high() >= 5);
}
