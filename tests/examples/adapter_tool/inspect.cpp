#include "examples/adapter_tool/inspect.hpp"

#include <limits>
#include <lora/peft/values_writer.hpp>
#include <sstream>

#include "peft/small_adapter.hpp"
#include "support/catch.hpp"
#include "support/temporary_directory.hpp"

using namespace adaptertool;
using namespace lora::test;

TEST_CASE("an inspection says what an adapter is and what is odd about it") {
  auto adapter = small_adapter(2, 4, 1);
  const double norm = adapter.modules.at("block.q").delta().norm();
  for (const int i : {1, 2})
    adapter.modules.emplace(lora::message("other.", i, ".q"), small_factors(4, 2, 6, 4, 1));
  adapter.modules.at("other.1.q").b.value.setZero();
  adapter.modules.at("other.2.q").b.value *= 1000;
  adapter.modules.at("block.v").config.rank = 7;
  adapter.modules.at("block.v") = small_factors(5, 7, 6, 14, 1);
  lora::peft::describe_values(adapter);
  const TemporaryDirectory directory;
  save_adapter(directory.path(), adapter);

  const Inspection found = inspect(directory.path());
  CHECK(found.modules.at("block.q").norm == Approx(norm));
  CHECK(found.modules.at("block.q").used == 2);
  CHECK(found.modules.at("block.q").parameters == 20);
  REQUIRE(found.odd.size() == 3);
  CHECK(found.odd[0] == "block.v has rank 7, more than its weight can have: 5");
  CHECK(found.odd[1].find("other.1.q changes nothing") == 0);
  CHECK(found.odd[2].find("other.2.q changes its weight ") == 0);

  std::ostringstream kinds, all;
  print(found, false, kinds);
  print(found, true, all);
  CHECK(kinds.str().find("q           3     2") != std::string::npos);
  CHECK(kinds.str().find("modules      4 with") != std::string::npos);
  CHECK(kinds.str().find("other.1.q  ") == std::string::npos);
  CHECK(all.str().find("other.1.q  ") != std::string::npos);
}

TEST_CASE("an inspection counts and judges the bias of B") {
  auto adapter = small_adapter(2, 4, 1);
  adapter.config.lora_bias = true;
  for (auto& [name, factors] : adapter.modules) {
    factors.config.lora_bias = true;
    const Index out = factors.b.value.rows();
    factors.b_bias = {random_matrix<float>(1, out, 7), {out}};
  }
  adapter.modules.at("block.q").b.value.setZero();
  const auto odd_of = [](const lora::peft::AdapterValues<float>& values) {
    return inspect(values).odd;
  };
  CHECK(inspect(adapter).modules.at("block.q").parameters == 2 * (4 + 6) + 4);
  CHECK(odd_of(adapter) ==
        std::vector<std::string>{"block.q has a B A of zero: it changes the bias alone"});
  auto& bias = adapter.modules.at("block.q").b_bias->value;
  bias.setZero();
  CHECK(odd_of(adapter) ==
        std::vector<std::string>{"block.q changes nothing: its B A and the bias of its B are zero, "
                                 "as before training"});
  bias(0, 2) = std::numeric_limits<float>::quiet_NaN();
  CHECK(odd_of(adapter) == std::vector<std::string>{"block.q has numbers that are not finite"});
  CHECK_FALSE(inspect(adapter).is_finite);
}
