#include "examples/bert_sentiment/methods.hpp"

#include <sstream>

#include "benchmarks/well_formed.hpp"
#include "examples/bert_sentiment/experiment.hpp"
#include "examples/bert_sentiment/methods_chart.hpp"
#include "examples/bert_sentiment/methods_report.hpp"
#include "examples/bert_sentiment/tiny_task.hpp"
#include "support/catch.hpp"

using namespace sentiment;
using Catch::Matchers::Contains;

TEST_CASE("every way of adapting is trained, stored, and compared with the base") {
  const lora::test::TinyTask tiny;
  bert::Options options = tiny.options;
  options.epochs = 3;
  MethodOptions wanted;
  wanted.ranks = {1, 4};
  wanted.bottlenecks = {4};
  wanted.layers = {1};
  wanted.full_learning_rate = wanted.layers_learning_rate = wanted.bottleneck_learning_rate = 0.01;
  std::ostringstream errors;
  const auto results = run_methods(options, wanted, tiny.problem(), *tiny.tokenizer, errors, false);
  REQUIRE(results.size() == 1);
  REQUIRE(results[0].size() == 6);
  const Result &head = results[0][0], &rank1 = results[0][1], &rank4 = results[0][2],
               &bottleneck = results[0][3], &last = results[0][4], &full = results[0][5];
  CHECK(full.method == "full fine-tuning");

  // The classifier; A and B of query and value in two layers beside it.
  CHECK(head.trainable == 2 * 16 + 2);
  CHECK(rank1.trainable == 2 * 2 * 1 * (16 + 16) + head.trainable);
  CHECK(rank4.trainable == 2 * 2 * 4 * (16 + 16) + head.trainable);
  CHECK(last.trainable > bottleneck.trainable);
  CHECK(full.trainable > last.trainable);
  for (const Result& each : results[0]) {
    CAPTURE(each.method);
    CHECK(each.stored > static_cast<std::uintmax_t>(each.trainable) * sizeof(float));
    CHECK(each.test >= 0);
    CHECK(each.seconds > 0);
    CHECK(each.peak_mib > 0);
  }
  for (const Result* each : {&rank4, &full, &bottleneck, &last}) CHECK(each->test > 80);

  // The base: whole under a head; back when adapters are off; changed by all else.
  CHECK(head.similarity == Approx(1).epsilon(1e-6));
  for (const Result* each : {&rank1, &rank4}) {
    CHECK(each->similarity < 0.9999);
    CHECK(each->similarity_off.value() == Approx(1).epsilon(1e-6));
  }
  for (const Result* each : {&full, &bottleneck, &last}) {
    CHECK(each->similarity < 0.9999);
    CHECK_FALSE(each->similarity_off.has_value());
  }
  CHECK_THAT(errors.str(), Contains("seed 1, LoRA, rank 4: accuracy "));
}

TEST_CASE("the cosine of embeddings is taken row by row") {
  lora::Matrix<float> a(2, 2), b(2, 2);
  a << 1, 0, 3, 4;
  b << 5, 0, 4, -3;
  CHECK(mean_cosine(a, a) == Approx(1));
  CHECK(mean_cosine(a, b) == Approx(0.5));
}

TEST_CASE("the table of methods has means and spreads, the drawing is well-formed") {
  const auto seed = [](double points) {
    return std::vector<Result>{
        {"head alone", Family::head, 770, 70, 70 + points, 1, 100, 4000, 1, 1.0},
        {"LoRA, rank 1", Family::lora, 10000, 80, 85 + points, 2.25, 110, 40000, 0.75, 1.0},
        {"LoRA, rank 4", Family::lora, 40000, 80, 87, 2.25, 110, 160000, 0.5, 1.0},
        {"full <fine> tuning", Family::full, 20000000, 90, 90, 5, 400, 80000000, 0.25, {}}};
  };
  std::ostringstream out;
  print_methods({seed(0), seed(2)}, out);
  CHECK_THAT(out.str(), Contains("LoRA, rank 1            10,000  86.0 +- 1.4   80.0 +- 0.0      "
                                 "2.2       110        40,000          0.750  1.000\n") &&
                            Contains("0.250      -\n") && Contains("Means over 2 seeds"));
  const std::string svg = MethodsChart({seed(0), seed(2)}, "a & b").svg();
  CHECK(lora::test::fault_of_xml(svg) == "");
  CHECK_THAT(svg, Contains("LoRA, rank 4: 40k parameters, accuracy 87.0 %, cosine 0.500.") &&
                      Contains("a &amp; b"));
  // One method alone can be drawn too.
  CHECK(lora::test::fault_of_xml(MethodsChart({{seed(0)[0]}}, "").svg()) == "");
}
