#include "examples/plot_metrics/chart.hpp"

#include "benchmarks/well_formed.hpp"
#include "support/catch.hpp"

using namespace curves;
using Catch::Matchers::ContainsSubstring;

TEST_CASE("curves are drawn, well-formed, with words for who cannot see them") {
  Run long_run{"one <run>", {}};
  for (int step = 1; step <= 2000; ++step)
    long_run.metrics.push_back({{"step", step}, {"loss", 1.0 / step}});
  const Run short_run{"other", {{{"step", 10}, {"loss", 0.5}}, {{"step", 10}, {"score", 70}}}};
  const std::string svg = Chart(panels_of({long_run, short_run}, {"loss", "score"})).svg();
  CHECK(lora::test::fault_of_xml(svg) == "");
  CHECK_THAT(svg,
             ContainsSubstring(">loss</text>") && ContainsSubstring(">score</text>") &&
                 ContainsSubstring("loss of one &lt;run&gt;: 1 at step 1, 0.0005 at step 2k."));
  CHECK_THAT(svg, ContainsSubstring("score of other: 70 at step 10, 70 at step 10."));
  // As it is and smoothed; a curve of a single point is a mark.
  CHECK_THAT(svg, ContainsSubstring("c0 faint") && ContainsSubstring("c0 line") &&
                      !ContainsSubstring("c1 faint"));
  CHECK(svg.find("nan") == std::string::npos);
  CHECK(svg.size() < 60000);
}
