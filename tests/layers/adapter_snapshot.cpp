#include <lora/layers/adapter_snapshot.hpp>

#include "support/catch.hpp"

using namespace lora;

TEST_CASE("a snapshot finds the sets of its layers and knows their names") {
  const int layers[3] = {};
  AdapterSnapshot snapshot;
  const auto first = std::make_shared<const int>(1), second = std::make_shared<const int>(2);
  snapshot.add(&layers[2], second);
  snapshot.add(&layers[0], first);
  for (const char* name : {"b", "a", "b"}) snapshot.add_name(name);
  snapshot.finish();
  CHECK(snapshot.find(&layers[0]) == first);
  CHECK(snapshot.find(&layers[2]) == second);
  CHECK(snapshot.find(&layers[1]) == nullptr);
  CHECK(snapshot.names() == std::vector<std::string>{"a", "b"});
  CHECK(snapshot.has("b"));
  CHECK_FALSE(snapshot.has("c"));
}
