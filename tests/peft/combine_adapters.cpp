#include <lora/peft/combine_adapters.hpp>

#include "peft/small_adapter.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::peft;
using namespace lora::test;

namespace {

AdapterValues<float> combined(const AdapterValues<float>& x, const AdapterValues<float>& y,
                              const CombineOptions& options = {}) {
  return combine_adapters<float>({{&x, 2, "x"}, {&y, -0.5, "y"}}, options);
}

}  // namespace

TEST_CASE("updates add up module by module, whatever the ranks and scalings") {
  const auto x = small_adapter(2, 4, 1);
  auto y = small_adapter(3, 6, 7);
  y.config.use_rslora = true;
  for (auto& [name, factors] : y.modules) factors.config.use_rslora = true;
  y.modules.erase("block.v");
  y.modules.emplace("block.fc", small_factors(3, 3, 3, 3, 11));
  y.config.target_modules = std::vector<std::string>{"q", "fc"};
  for (const CombineOptions& options :
       {CombineOptions{.combination_type = CombinationType::cat}, CombineOptions{.svd_rank = 5}}) {
    const auto sum = combined(x, y, options);
    REQUIRE(sum.modules.size() == 3);
    CHECK(largest_difference(
              sum.modules.at("block.q").delta(),
              2 * x.modules.at("block.q").delta() - 0.5 * y.modules.at("block.q").delta()) < 1e-5);
    CHECK(largest_difference(sum.modules.at("block.v").delta(),
                             2 * x.modules.at("block.v").delta()) < 1e-5);
    CHECK(largest_difference(sum.modules.at("block.fc").delta(),
                             -0.5 * y.modules.at("block.fc").delta()) < 1e-5);
    for (const auto& [name, factors] : sum.modules) {
      CHECK(factors.config.scaling() == 1);
      CHECK(sum.config.layer_config(name).scaling() == 1);
      CHECK(sum.config.layer_config(name).rank == factors.a.value.rows());
      CHECK(factors.a.shape == io::Shape{factors.config.rank, factors.a.value.cols()});
    }
    CHECK_FALSE(sum.config.use_rslora);
    CHECK(sum.config.target_modules == ModuleNames(std::vector<std::string>{"fc", "q", "v"}));
  }
  // The largest rank of all is that of each module, where nothing else is said.
  CHECK(combined(x, y).modules.at("block.v").config.rank == 3);
  CHECK(combined(x, y, {.combination_type = CombinationType::cat})
            .modules.at("block.v")
            .config.rank == 2);
}

TEST_CASE("target_modules are united where they can be, and listed otherwise") {
  const auto x = small_adapter(2, 4, 1);
  auto y = small_adapter(2, 4, 3);
  const auto targets = [&](const ModuleNames& first, const ModuleNames& second) {
    auto a = x;
    a.config.target_modules = first;
    y.config.target_modules = second;
    return combined(a, y).config.target_modules;
  };
  const ModuleNames all(std::vector<std::string>{"block.q", "block.v"});
  CHECK(targets(".*q|.*v", "block.(q|v)") == ModuleNames("(.*q|.*v)|(block.(q|v))"));
  CHECK(targets("all-linear", "all-linear") == ModuleNames("all-linear"));
  CHECK(targets({}, {}) == ModuleNames());
  CHECK(targets("all-linear", ".*") == all);
  CHECK(targets(".*", std::vector<std::string>{"q", "v"}) == all);
  CHECK(targets({}, std::vector<std::string>{"q", "v"}) == all);
  y.config.layers_to_transform = {0};
  CHECK(targets(".*", ".*") == all);
}

TEST_CASE("what is stored whole is taken over, but not from two that disagree") {
  auto x = small_adapter(2, 4, 1), y = small_adapter(2, 4, 3);
  x.config.modules_to_save = {"head"};
  x.others["head.weight"] = {Matrix<float>::Ones(2, 3), {2, 3}};
  const auto one = combined(x, y);
  CHECK(one.others.at("head.weight").value.isOnes(0));
  CHECK(combined(y, x).config.modules_to_save == std::vector<std::string>{"head"});
  y.config.modules_to_save = {"head"};
  y.others = x.others;
  CHECK(combined(x, y).others.size() == 1);
  y.others["head.weight"].value(1, 1) = 2;
  check_throws<ConfigError>([&] { static_cast<void>(combined(x, y)); },
                            "\"x\" and \"y\" both store \"head.weight\" whole, and not the same");
}

TEST_CASE("convolutions keep their kernels' shape") {
  auto x = small_adapter(2, 4, 1);
  auto& conv = x.modules.at("block.q");
  conv.a.shape = {2, 3, 1, 2};
  conv.b.shape = {4, 2, 1, 1};
  const auto sum = combined(x, x, {.combination_type = CombinationType::cat});
  CHECK(sum.modules.at("block.q").a.shape == io::Shape{4, 3, 1, 2});
  CHECK(sum.modules.at("block.q").b.shape == io::Shape{4, 4, 1, 1});
  auto y = x;
  y.modules.at("block.q").a.shape = {2, 3, 2, 1};
  check_throws<ShapeError>([&] { static_cast<void>(combined(x, y)); },
                           "\"block.q\" of \"y\" has factors of shapes (2, 3, 2, 1) and");
}

TEST_CASE("adapters that do not go together are refused by module and name") {
  const auto x = small_adapter(2, 4, 1);
  const auto refused = [&](auto error, const auto& change, const std::string& why,
                           const CombineOptions& options = {}) {
    auto y = small_adapter(2, 4, 3);
    change(y);
    check_throws<decltype(error)>([&] { static_cast<void>(combined(x, y, options)); }, why);
  };
  const auto none = [](auto&) {};
  refused(
      ShapeError(""), [](auto& y) { y = small_adapter(3, 4, 3); },
      "combine_adapters: \"block.q\": combine_factors: the adapter \"y\" has rank 3, expected 2",
      {.combination_type = CombinationType::linear});
  refused(
      ShapeError(""), [](auto& y) { y.modules.at("block.v") = small_factors(5, 2, 7, 4, 1); },
      "\"block.v\" of \"y\" has factors of shapes (2, 7) and (5, 2), and of \"x\" (2, 6)");
  refused(
      ShapeError(""), [](auto& y) { y.modules.at("block.v").is_embedding = true; },
      "they are of different models");
  refused(
      ConfigError(""), [](auto& y) { y.config.bias = "lora_only"; },
      "the adapter \"y\" has bias = \"lora_only\": trained biases are not combined");
  refused(
      ConfigError(""), [](auto& y) { y.config.use_dora = true; },
      "\"y\" has use_dora: magnitudes are not combined");
  refused(
      ConfigError(""), [](auto& y) { y.config.init_lora_weights = "pissa"; },
      "\"y\": the adapter began with pissa, so it belongs to a changed base");
  refused(
      ConfigError(""),
      [](auto& y) {
        y.config.layer_replication = {{0, 1}};
      },
      "layer_replication");
  refused(
      ConfigError(""), [](auto& y) { y.config.alora_invocation_tokens = {1}; },
      "alora_invocation_tokens");
  refused(
      ConfigError(""), [](auto& y) { y.others["q.lora_magnitude_vector"] = {}; },
      "has the tensor \"q.lora_magnitude_vector\"");
  refused(
      ConfigError(""), [](auto& y) { y.modules.clear(); }, "\"y\" has no adapted module");
  refused(
      ConfigError(""),
      [](auto& y) {
        y.modules.at("block.v").b.value(0, 0) = std::numeric_limits<float>::infinity();
      },
      "\"block.v\": combine_factors: B of the adapter \"y\" has a number that is not finite");
  refused(ConfigError(""), none, "combine_adapters: ties needs a density",
          {.combination_type = CombinationType::ties});
  check_throws<ConfigError>([] { static_cast<void>(combine_adapters<float>({})); },
                            "there is no adapter to combine");
  check_throws<ConfigError>([] { static_cast<void>(combine_adapters<float>({{}})); },
                            "the adapter \"0\" is a null pointer");
}
