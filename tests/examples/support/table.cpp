#include "examples/support/table.hpp"

#include <sstream>

#include "support/catch.hpp"

using namespace examples;

TEST_CASE("a table has columns as wide as their widest cell") {
  Table table({"method", "new %", "s"});
  table.add({"a", "98.0 +- 0.4", "0.10"});
  table.add({"longer name", "5.0"});
  std::ostringstream out;
  table.print(out);
  CHECK(out.str() ==
        "method             new %     s\n"
        "------------------------------\n"
        "a            98.0 +- 0.4  0.10\n"
        "longer name          5.0      \n");
}

TEST_CASE("numbers are written for reading") {
  CHECK(fixed(2.345, 2) == "2.35");
  CHECK(fixed(-0.5, 1) == "-0.5");
  CHECK(grouped(0) == "0");
  CHECK(grouped(999) == "999");
  CHECK(grouped(1000) == "1,000");
  CHECK(grouped(83717) == "83,717");
  CHECK(grouped(1234567) == "1,234,567");
}

TEST_CASE("mean and standard deviation") {
  CHECK(mean({1, 2, 6}) == Approx(3));
  CHECK(spread({7}) == 0);
  CHECK(spread({1, 3}) == Approx(std::sqrt(2.0)));
  CHECK(mean_and_spread({}, 1) == "-");
  CHECK(mean_and_spread({97.25}, 1) == "97.2");
  CHECK(mean_and_spread({1, 3}, 1) == "2.0 +- 1.4");
}
