#include "examples/support/adapter_settings.hpp"

#include <lora/core/error.hpp>

#include "support/catch.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("a run goes on with the options of its adapters alone, alpha's default among them") {
  examples::AdapterOptions options;
  const auto saved = examples::adapter_settings(options);
  options.epochs = 7;  // which a run that goes on may have more of
  options.alpha = 16;
  examples::adapter_settings(options).require_same(saved, "checkpoint");
  const auto refuses = [&](const auto& change, const char* part) {
    examples::AdapterOptions other;
    change(other);
    check_throws<ConfigError>(
        [&] { examples::adapter_settings(other).require_same(saved, "checkpoint"); }, part);
  };
  refuses([](auto& other) { other.rank = 4; }, "rank = 8, expected this one's 4");
  refuses([](auto& other) { other.alpha = 8; }, "alpha = 16");
  refuses([](auto& other) { other.dora = true; }, "dora = false");
  refuses([](auto& other) { other.init = "pissa"; }, "init = \"kaiming\"");
  refuses([](auto& other) { other.dropout = 0.5; }, "dropout = ");
  refuses([](auto& other) { other.targets = {"query"}; }, "target_modules = []");
  refuses([](auto& other) { other.batch = 1; }, "batch = 8");
  refuses([](auto& other) { other.seed = 2; }, "seed = 1");
}
