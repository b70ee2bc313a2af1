#include "examples/bert_sentiment/methods_report.hpp"

#include <sstream>

#include "benchmarks/well_formed.hpp"
#include "examples/bert_sentiment/methods_chart.hpp"
#include "support/catch.hpp"

using namespace sentiment;
using Catch::Matchers::ContainsSubstring;

namespace {

std::vector<Result> one_seed(double points) {
  return {{"head alone", Family::head, 1e-2, 770, 70, 70 + points, 1, 100, 4096, 1, 1.0},
          {"LoRA, rank 1", Family::lora, 1e-3, 10000, 80, 85 + points, 2.25, 110, 40500, 0.75, 1.0},
          {"LoRA, rank 4", Family::lora, 3e-3, 40000, 80, 87, 2.25, 110, 160000, 0.5, 1.0},
          {"full <fine> tuning", Family::full, 1e-4, 20000000, 90, 90, 5, 400, 80000000, 0.25, {}}};
}

}  // namespace

TEST_CASE("the table of methods has means, spreads, and the learning rates that were taken") {
  std::ostringstream out;
  print_methods({one_seed(0), one_seed(2)}, out);
  CHECK_THAT(
      out.str(),
      ContainsSubstring(
          "method              rate   trainable       test %  validation %  seconds  peak MiB  "
          "file KiB  base kept, on    off\n") &&
          ContainsSubstring(
              "LoRA, rank 1        1e-3      10,000  86.0 +- 1.4   80.0 +- 0.0      2.2       "
              "110        40          0.750  1.000\n") &&
          ContainsSubstring("78,125          0.250      -\n") &&
          ContainsSubstring("Means over 2 seeds"));
}

TEST_CASE("the table of learning rates has what was tried, and marks what was taken") {
  std::ostringstream out;
  Comparison comparison{{one_seed(0)}, {}};
  print_trials(comparison, out);
  CHECK(out.str().empty());
  comparison.trials = {{"LoRA, rank 1", 3e-3, 79},
                       {"LoRA, rank 1", 1e-3, 80},
                       {"full <fine> tuning", 1e-4, 90},
                       {"full <fine> tuning", 1e-3, 71.25}};
  print_trials(comparison, out);
  CHECK_THAT(out.str(), ContainsSubstring("validation %, rate    1e-4    1e-3    3e-3\n") &&
                            ContainsSubstring("LoRA, rank 1                80.00*  79.00 \n") &&
                            ContainsSubstring("full <fine> tuning  90.00*  71.25         \n"));
  CHECK_THAT(out.str(), !ContainsSubstring("LoRA, rank 4"));  // had no choice
}

TEST_CASE("the drawing of methods is well-formed") {
  const std::string svg = methods_chart({one_seed(0), one_seed(2)}, "a & b").svg();
  CHECK(lora::test::fault_of_xml(svg) == "");
  CHECK_THAT(svg, ContainsSubstring("LoRA, rank 4: 40k parameters, 87.0 +- 0.0; 0.500.") &&
                      ContainsSubstring("a &amp; b"));
  // One method alone can be drawn too.
  CHECK(lora::test::fault_of_xml(methods_chart({{one_seed(0)[0]}}, "").svg()) == "");
}
