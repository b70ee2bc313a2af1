#include "examples/serving/adapter_store.hpp"

#include <string>
#include <vector>

#include "examples/serving/tiny_adapters.hpp"
#include "support/catch.hpp"
#include "support/throws.hpp"

using namespace serving;
using namespace lora::test;

using Names = std::vector<std::string>;

TEST_CASE("who began with an adapter keeps it, and the last one to be done frees it") {
  SmallRegistry layers;
  AdapterStore store(layers.registry);
  store.put("x", small_adapter(2, 4, 1));
  CHECK(store.find("y") == nullptr);
  AdapterStore::Handle one = store.find("x"), other = one;
  store.put("x", small_adapter(3, 4, 2));
  CHECK(layers.registry.names() == Names{"x#1", "x#2"});
  CHECK(*store.find("x") == "x#2");
  store.release(std::move(one));
  CHECK(layers.registry.has("x#1"));
  store.release(std::move(other));
  CHECK(layers.registry.names() == Names{"x#2"});

  AdapterStore::Handle last = store.find("x");
  store.remove("x");
  store.remove("x");
  CHECK(store.find("x") == nullptr);
  CHECK(store.names().empty());
  CHECK(layers.registry.has("x#2"));
  store.release(std::move(last));
  CHECK(layers.registry.names().empty());
}

TEST_CASE("an adapter that does not fit leaves the one before it") {
  SmallRegistry layers;
  AdapterStore store(layers.registry);
  store.put("x", small_adapter(2, 4, 1));
  auto other = small_adapter(2, 4, 1);
  other.modules.emplace("block.k", small_factors(4, 2, 6, 4, 1));
  check_throws<lora::ConfigError>([&] { store.put("x", other); }, "block.k");
  CHECK(*store.find("x") == "x#1");
  CHECK(layers.registry.names() == Names{"x#1"});
}
