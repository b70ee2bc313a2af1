#include "examples/plot_metrics/curves.hpp"

#include "support/catch.hpp"
#include "support/throws.hpp"

using namespace curves;

namespace {

const std::vector<Run> runs{
    {"a", {{{"step", 1}, {"loss", 3}}, {{"step", 2}, {"loss", 1}}, {{"step", 2}, {"score", 50}}}},
    {"b", {{{"step", 4}, {"loss", 2}}, {{"step", 3}, {"loss", 5}}}}};

}  // namespace

TEST_CASE("each metric has a panel, each run that has it a curve") {
  const auto panels = panels_of(runs, {"score", "other", "loss"});
  REQUIRE(panels.size() == 2);
  CHECK(panels[0].metric == "score");
  REQUIRE(panels[0].curves.size() == 1);
  CHECK(panels[0].curves[0].points == Curve::Points{{2, 50}});
  REQUIRE(panels[1].curves.size() == 2);
  CHECK(panels[1].curves[0].points == Curve::Points{{1, 3}, {2, 1}});
  CHECK(panels[1].curves[1].run == "b");
  CHECK(panels[1].curves[1].points == Curve::Points{{3, 5}, {4, 2}});
}

TEST_CASE("what cannot be drawn is refused") {
  using lora::test::check_throws;
  const auto draw = [](const Run& run) {
    return [run] { static_cast<void>(panels_of({run}, {"loss", "f1"})); };
  };
  check_throws<lora::FileError>(draw({"a", {}}), "nothing to draw: no line has loss, f1");
  check_throws<lora::FileError>(draw({"a", {{{"loss", 1}}}}), "a: a line with loss has no step");
  check_throws<lora::FileError>(draw({"a", {{{"step", 1}, {"loss", -1e200}}}}), "too large");
}

TEST_CASE("a running mean is over the points before, as many as there are") {
  const Curve::Points points{{1, 4}, {2, 8}, {3, 0}, {4, 2}, {5, 7}};
  CHECK(running_mean(points, 1) == points);
  CHECK(running_mean(points, 2) == Curve::Points{{1, 4}, {2, 6}, {3, 4}, {4, 1}, {5, 4.5}});
  CHECK(running_mean(points, 9) == Curve::Points{{1, 4}, {2, 6}, {3, 4}, {4, 3.5}, {5, 4.2}});
}

TEST_CASE("a long curve is drawn by few points") {
  Curve::Points points;
  for (int i = 0; i < 1000; ++i) points.emplace_back(i, 2.0 * i);
  const auto few = thinned(points, 100);
  REQUIRE(few.size() == 100);
  CHECK(few.front() == std::pair(4.5, 9.0));
  CHECK(few.back() == std::pair(994.5, 1989.0));
  CHECK(thinned(points, 1000) == points);
  CHECK(thinned({}, 10).empty());
}
