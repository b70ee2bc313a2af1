#include "examples/serving/request_queue.hpp"

#include <sstream>
#include <string>
#include <thread>

#include "examples/serving/read_requests.hpp"
#include "support/catch.hpp"

using namespace serving;

TEST_CASE("lines are read ahead as far as there is room, and numbered") {
  std::istringstream in("{\"prompt\": \"a\"}\n\n  \r\n{\"prompt\": \"b\"}\r\nnothing");
  RequestQueue queue(1);
  std::thread reader([&] { read_requests(in, 8, queue); });
  std::vector<Request> all;
  while (auto arrival = queue.pop(true)) all.push_back(std::move(arrival->request));
  reader.join();
  REQUIRE(all.size() == 3);
  CHECK(all[1].prompt == "b");
  CHECK(all[1].line == 4);
  CHECK(all[1].number == 1);
  CHECK(all[2].error.starts_with("line 5"));
  CHECK(!queue.pop(true));
}

TEST_CASE("an ended queue takes nothing") {
  RequestQueue queue(1);
  CHECK(!queue.pop(false));
  CHECK(queue.push({}));
  queue.end();
  CHECK(!queue.push({}));
  CHECK(queue.pop(false));
}
