#include "examples/serving/statistics.hpp"

#include <sstream>
#include <string>

#include "support/catch.hpp"

using namespace serving;

TEST_CASE("percentiles are of the nearest rank") {
  CHECK(percentile({5}, 50) == 5);
  CHECK(percentile({4, 1, 3, 2}, 50) == 2);
  CHECK(percentile({4, 1, 3, 2}, 51) == 3);
  CHECK(percentile({4, 1, 3, 2}, 99) == 4);
  CHECK(percentile({4, 1, 3, 2}, 0) == 1);
}

TEST_CASE("statistics are printed by adapter, in tokens per second of its own time") {
  Statistics statistics;
  std::ostringstream nothing, out;
  statistics.print(nothing);
  CHECK(nothing.str().empty());
  statistics.add_step({"french", "german"}, 1);
  statistics.add_step({"french"}, 1);
  statistics.add_answer("french", 10, 0.25, 2);
  statistics.add_answer("german", 4, 0.5, 1);
  statistics.print(out);
  const std::string text = out.str();
  CAPTURE(text);
  const auto line = [&](const std::string& name) {
    const auto at = text.find("\n" + name) + 1;
    std::istringstream words(text.substr(at, text.find('\n', at) - at));
    std::string all;
    for (std::string word; words >> word;) all += word + ' ';
    return all;
  };
  CHECK(line("french") == "french 1 10 5.0 0.250 0.250 0.250 2.000 2.000 2.000 ");
  CHECK(line("german") == "german 1 4 4.0 0.500 0.500 0.500 1.000 1.000 1.000 ");
  CHECK(line("all") == "all 2 14 7.0 0.250 0.500 0.500 1.000 2.000 2.000 ");
}
