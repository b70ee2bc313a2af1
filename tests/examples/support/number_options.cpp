#include "examples/support/number_options.hpp"

#include <optional>

#include "support/catch.hpp"

namespace {

// Says what is wrong with --x, or nothing.
std::string fault(const CLI::Validator& check, const std::string& text) {
  CLI::App app;
  std::optional<double> x;
  app.add_option("--x", x, "")->check(check);
  try {
    app.parse("--x " + text);
    CHECK(x.has_value());
    return "";
  } catch (const CLI::ParseError& error) {
    return error.what();
  }
}

}  // namespace

TEST_CASE("numbers outside their range are refused by name and value, NaN among them") {
  using namespace examples;
  const auto rate = number_from(0, 1);
  for (const char* good : {"0", "1", "0.5", "1e-30"}) CHECK(fault(rate, good) == "");
  for (const char* bad : {"nan", "NaN", "-nan", "inf", "-inf", "-0.1", "1.1", "x", "0.5x", "1e999"})
    CHECK(fault(rate, bad) == "--x: Value " + std::string(bad) + " not in range [0 - 1]");
  const auto positive = positive_number_up_to(1);
  CHECK(fault(positive, "1e-9") == "");
  for (const char* bad : {"0", "nan", "1.5", "-1"})
    CHECK(fault(positive, bad) == "--x: Value " + std::string(bad) + " not in range (0 - 1]");
  const auto finite = finite_number();
  for (const char* good : {"-3", "0", "1e30"}) CHECK(fault(finite, good) == "");
  for (const char* bad : {"nan", "inf", "-inf", "x"})
    CHECK(fault(finite, bad) ==
          "--x: Value " + std::string(bad) + " not in range of finite numbers");
}
