#include "benchmarks/plot/rank_chart.hpp"

#include <sstream>

#include "benchmarks/count_of.hpp"
#include "benchmarks/plot/options.hpp"
#include "benchmarks/result_json.hpp"
#include "benchmarks/well_formed.hpp"
#include "support/catch.hpp"

using namespace lora;
using namespace lora::bench;
using lora::test::count_of;
using lora::test::fault_of_xml;
using lora::test::result_json;
using lora::test::row_json;

namespace {

Results small_results() {
  return parse_results(
      result_json({row_json("frozen/tokens:4/width:16/manual_time", 1000, 1),
                   row_json("forward/tokens:1/width:16/rank:1/manual_time", 7, 1),
                   row_json("forward/tokens:4/width:16/rank:8/manual_time", 500, 2),
                   row_json("forward/tokens:4/width:16/rank:1/manual_time", 800, 1.25),
                   row_json("forward/tokens:4/width:64/rank:1/manual_time", 90, 1.1),
                   row_json("forward/tokens:4/width:64/rank:32/manual_time", 40, 2.5),
                   row_json("train/tokens:4/width:16/rank:1/manual_time", 300, 3),
                   row_json("train/tokens:4/width:16/rank:8/manual_time", 200, 5),
                   row_json("train/tokens:4/width:64/rank:8/manual_time", 20, 5),
                   row_json("merged/tokens:4/width:16/rank:8/manual_time", 999, 1)}),
      "a.json");
}

RankChart chart_of(const Results& results, Quantity quantity) {
  return RankChart(rank_panels(results, quantity, 4, "a.json"),
                   {.title = "title",
                    .y_label = axis_label(quantity),
                    .caption = caption(results, 4),
                    .logarithmic = is_logarithmic(quantity)});
}

}  // namespace

TEST_CASE("a panel is a case with a line, its ranks in order") {
  const Results results = small_results();
  CHECK(most_tokens(results) == 4);
  const auto panels = rank_panels(results, Quantity::tokens, 4, "a.json");
  REQUIRE(panels.size() == 2);  // merged has one rank only
  CHECK(panels[0].what == "forward");
  REQUIRE(panels[0].series.size() == 2);
  CHECK(panels[0].series[0].width == 16);
  CHECK(panels[0].series[0].measured == RankSeries::Points{{1, 800}, {8, 500}});
  CHECK(panels[0].series[0].limits.empty());
  CHECK(panels[0].series[1].measured == RankSeries::Points{{1, 90}, {32, 40}});
  CHECK(panels[1].series[1].measured == RankSeries::Points{{8, 20}});
}

TEST_CASE("the share is of the frozen product, beside what the operations allow") {
  const auto panels = rank_panels(small_results(), Quantity::share, 4, "a.json");
  CHECK(panels[0].series[0].measured == RankSeries::Points{{1, 80}, {8, 50}});
  // At the same GFLOP/s as the frozen product nothing is lost but to the operations themselves.
  CHECK(panels[0].series[0].limits == panels[0].series[0].measured);
}

TEST_CASE("of repeated rows the median is drawn") {
  std::vector<std::string> rows{row_json("forward/tokens:4/width:16/rank:8", 50, 1)};
  for (const double value : {9000.0, 100.0, 120.0})
    rows.push_back(row_json("forward/tokens:4/width:16/rank:1", value, 1));
  const auto panels =
      rank_panels(parse_results(result_json(rows), "a.json"), Quantity::tokens, 4, "a.json");
  CHECK(panels[0].series[0].measured == RankSeries::Points{{1, 120}, {8, 50}});
}

TEST_CASE("a result without a line is refused by name") {
  CHECK_THROWS_WITH(rank_panels(small_results(), Quantity::share, 1, "a.json"),
                    "a.json: no case has rows of two ranks at 1 tokens: there is no line to draw");
  CHECK_THROWS_AS(rank_panels(small_results(), Quantity::share, 512, "a.json"), FileError);
}

TEST_CASE("the speed of the frozen product is the median of all that timed it") {
  const auto speeds = frozen_speeds(small_results(), 4);
  REQUIRE(speeds.size() == 2);
  CHECK(speeds.at(16) == 1000);  // of 1000, 1000, 1000, 900, 1000, 999
  CHECK(speeds.at(64) == 100);   // of 99, 100, 100
}

TEST_CASE("the drawing is well-formed, complete and within its page") {
  const Results results = small_results();
  for (const Quantity quantity : {Quantity::share, Quantity::tokens, Quantity::gflops}) {
    const RankChart chart = chart_of(results, quantity);
    const std::string svg = chart.svg();
    CAPTURE(svg);
    CHECK(fault_of_xml(svg) == "");
    for (const char* part :
         {"<title id=\"title\">title</title>", "<desc id=\"desc\">", "role=\"img\"",
          "Inference: forward", "Training step: forward and backward", ">width 16</text>",
          ">width 64</text>", ">rank</text>", "Some &lt;CPU&gt; &amp; more, 1 thread, 2024-06-07",
          "GNU 12 -O3, Eigen 3.4.0", ">16</text>", ">32</text>"})
      CHECK(svg.find(part) != std::string::npos);
    // Two lines for inference, one for training; the legend's are straight lines.
    CHECK(count_of(svg, "<polyline class=\"c0 line\"") == 2);
    CHECK(count_of(svg, "<polyline class=\"c1 line\"") == 1);
    CHECK(count_of(svg, "<polyline class=\"c0 limit\"") == (quantity == Quantity::share ? 2 : 0));
    // Markers: four of width 16 and three of width 64, and one of each in the legend.
    CHECK(count_of(svg, "<circle class=\"c0\"") == 5);
    CHECK(count_of(svg, "<polygon class=\"c1\"") == 4);
    CHECK(svg.find("nan") == std::string::npos);
    CHECK(svg.find("inf") == std::string::npos);
    CHECK(count_of(svg, "http") == 1);  // the namespace: nothing is fetched

    CHECK(chart.x_axis().low() == 1);
    CHECK(chart.x_axis().high() == 32);
    for (const auto& panel : rank_panels(results, quantity, 4, "a.json"))
      for (const auto& series : panel.series)
        for (const auto& [rank, value] : series.measured) {
          CHECK(chart.y_axis().position(value) >= 0);
          CHECK(chart.y_axis().position(value) <= 1);
        }
  }
}

TEST_CASE("the description says in numbers what the lines show") {
  const std::string svg = chart_of(small_results(), Quantity::tokens).svg();
  CHECK(
      svg.find("Line chart, throughput, tokens per second against rank. Inference: forward: width "
               "16, 800 at rank 1 and 500 at rank 8; width 64, 90 at rank 1 and 40 at rank 32. "
               "Training step: forward and backward: width 16, 300 at rank 1 and 200 at rank 8; "
               "width 64, 20 at rank 8.</desc>") != std::string::npos);
}

TEST_CASE("long captions are broken between words") {
  CHECK(wrapped("", 5).empty());
  CHECK(wrapped("one two three", 7) == std::vector<std::string>{"one two", "three"});
  CHECK(wrapped("incompressible a b", 3) == std::vector<std::string>{"incompressible", "a b"});
}

TEST_CASE("the plot's arguments") {
  const PlotOptions plain = parse_options({"a.json", "b.svg"});
  CHECK(plain.in == "a.json");
  CHECK(plain.out == "b.svg");
  CHECK_FALSE(plain.tokens.has_value());
  CHECK(plain.quantity == Quantity::share);
  const PlotOptions all =
      parse_options({"--tokens", "16", "a.json", "--quantity", "tokens/s", "b.svg"});
  CHECK(all.tokens == 16);
  CHECK(all.quantity == Quantity::tokens);
  CHECK(parse_options({"a", "b", "--quantity", "GFLOP/s"}).quantity == Quantity::gflops);

  for (const std::vector<std::string>& bad : {std::vector<std::string>{},
                                              {"a"},
                                              {"a", "b", "c"},
                                              {"a", "b", "--tokens"},
                                              {"a", "b", "--tokens", "0"},
                                              {"a", "b", "--tokens", "1.5"},
                                              {"a", "b", "--tokens", ""},
                                              {"a", "b", "--quantity", "speed"}})
    CHECK_THROWS_AS(parse_options(bad), ConfigError);
  CHECK_THROWS_WITH(parse_options({"a", "b", "--quantity", "speed"}),
                    "the quantity is speed, expected share, tokens/s or GFLOP/s");
}
