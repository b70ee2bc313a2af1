#include <lora/layers/adapter_set.hpp>
#include <lora/layers/lora_adapter.hpp>

#include "support/random_matrix.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::test;

namespace {

using Set = AdapterSet<LoRAAdapter<float>>;

std::shared_ptr<LoRAAdapter<float>> adapter_of_rank(Index rank) {
  return std::make_shared<LoRAAdapter<float>>(Index{4}, Index{3}, LoRAConfig{.rank = rank}, 1);
}

Set two_adapters() {
  Set set;
  set.add("one", adapter_of_rank(2), "here");
  set.add("two", adapter_of_rank(3), "here");
  return set;
}

}  // namespace

TEST_CASE("the first adapter of a set is active, and others when they are chosen") {
  Set set;
  CHECK(set.empty());
  CHECK(set.in_use() == nullptr);
  set = two_adapters();
  REQUIRE(set.active() != nullptr);
  CHECK(set.active()->name == "one");
  CHECK(set.active()->scaling() == 2);  // alpha is twice the rank
  set.activate("two", "here");
  CHECK(set.in_use()->adapter->rank() == 3);
  set.set_enabled(false);
  CHECK(set.active()->name == "two");
  CHECK(set.in_use() == nullptr);
  set.set_enabled(true);
  set.set_factor(0.5);
  CHECK(set.in_use()->scaling() == 1);
  set.activate("one", "here");
  CHECK(set.in_use()->scaling() == 2);  // each has a factor of its own
  set.deactivate();
  CHECK(set.active() == nullptr);
  CHECK(set.entries().size() == 2);
}

TEST_CASE("a layer's factor is of all its adapters, those to come too, beside each one's own") {
  Set set = two_adapters();
  set.set_factor(0.5);
  set.set_layer_factor(3);
  set.add("three", adapter_of_rank(4), "here");
  CHECK(set.find("one")->scaling() == 3);
  CHECK(set.find("one")->own_scaling() == 1);
  CHECK(set.find("two")->scaling() == 6);
  CHECK(set.find("three")->scaling() == 6);
  CHECK(set.clone().find("three")->scaling() == 6);
  set.replace(adapter_of_rank(5));
  CHECK(set.find("one")->scaling() == 3);
}

TEST_CASE("who is taken out of a set is active no more, and the active one stays so") {
  Set set = two_adapters();
  set.add("three", adapter_of_rank(4), "here");
  set.activate("two", "here");
  set.remove("one", "here");
  CHECK(set.active()->name == "two");
  set.remove("three", "here");
  CHECK(set.active()->name == "two");
  set.remove("two", "here");
  CHECK(set.active() == nullptr);
  CHECK(set.empty());
}

TEST_CASE("names that are taken, missing or empty are refused, with those that there are") {
  Set set = two_adapters();
  const auto add = [&](const char* name) { set.add(name, adapter_of_rank(1), "here"); };
  check_throws<ConfigError>([&] { add("one"); },
                            "here: there is an adapter called \"one\" already");
  check_throws<ConfigError>([&] { add(""); }, "here: an adapter needs a name");
  check_throws<ConfigError>([&] { set.activate("tow", "here"); },
                            "here: there is no adapter called \"tow\", only \"one\", \"two\"");
  check_throws<ConfigError>([&] { set.remove("a\nb", "here"); }, "\"a\\nb\"");
  CHECK(set.entries().size() == 2);
}

TEST_CASE("copies of a set share its adapters, and clones have their own") {
  const Set set = two_adapters();
  const Set copy = set, clone = set.clone();
  CHECK(copy.find("one")->adapter == set.find("one")->adapter);
  CHECK(clone.find("one")->adapter != set.find("one")->adapter);
  CHECK((clone.find("one")->adapter->a().value == set.find("one")->adapter->a().value));
  CHECK(clone.active()->name == "one");
}

TEST_CASE("a set says what another would let a forward use instead") {
  const Set before = two_adapters();
  Set after = before;
  CHECK(before.difference(after).empty());
  after.activate("two", "here");
  CHECK(before.difference(after) == "the adapter \"one\" was active and \"two\" is now");
  after = before;
  after.set_enabled(false);
  CHECK(before.difference(after) == "the adapter \"one\" was switched off");
  CHECK(after.difference(before) == "the adapter \"one\" was switched on");
  CHECK(after.difference(after).empty());
  after = before;
  after.replace(adapter_of_rank(2));
  CHECK(before.difference(after) == "the adapter \"one\" was replaced: its rank was 2 and is 2");
  after = before;
  after.set_factor(5);
  CHECK(before.difference(after) == "the scaling was 2 and is 10");
  after = before;
  after.add("three", adapter_of_rank(1), "here");
  after.remove("two", "here");
  CHECK(before.difference(after).empty());  // no forward used them
}

TEST_CASE("the names that routes have are no adapter's, and one finds what is active") {
  Set set = two_adapters();
  for (const char* name : {base_adapter, active_adapters})
    check_throws<ConfigError>([&] { set.add(name, adapter_of_rank(2), "here"); },
                              "here: an adapter cannot be called \"__");
  CHECK(set.find(active_adapters)->name == "one");
  CHECK(set.at("two", "here").adapter->rank() == 3);
  check_throws<ConfigError>([&] { static_cast<void>(set.at("three", "here")); }, "\"three\"");
  set.deactivate();
  CHECK(set.find(active_adapters) == nullptr);
}
