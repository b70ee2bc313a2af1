#include <lora/distributed/meeting.hpp>

#include <string>

#include "distributed/some_ranks.hpp"
#include "support/catch.hpp"

using namespace lora;
using namespace lora::test;
using namespace lora::distributed;

namespace {

// What a rank is told that brings this, or nothing.
std::string told(const Communicator& ranks, const JointPlace& place) {
  try {
    Meeting(ranks, place).hold();
  } catch (const StateError& error) {
    return error.what();
  }
  return {};
}

}  // namespace

TEST_CASE("ranks that do the same meet, and the sums go to the partners") {
  for (const int count : {1, 2, 4})
    on_ranks(count, [&](const Communicator& ranks) {
      const JointPlace place{.call = JointCall::beginning, .epochs = 1, .steps = 2, .check = 3};
      CHECK(told(ranks, place).empty());
      Meeting meeting(ranks, place);
      for (int level = 0; level < meeting.levels(); ++level)
        CHECK(meeting.at(level, {0.5, 1, ranks.rank()})->tokens == meeting.partner(level));
      CHECK(1 << meeting.levels() == count);
      meeting.require();
    });
}

TEST_CASE("one rank that differs is told to all of them") {
  on_ranks(4, [](const Communicator& ranks) {
    for (int one = 0; one < 4; ++one) {
      const bool is_it = ranks.rank() == one;
      const std::string text =
          told(ranks, {.call = JointCall::beginning, .epochs = is_it ? 2U : 0U, .steps = 5});
      CAPTURE(one, ranks.rank(), text);
      if (ranks.rank() != (one ^ 3)) {
        CHECK(text.find("begins or resumes a run after 2 epochs and 5 steps") != text.npos);
        CHECK(text.find("begins or resumes a run after 0 epochs and 5 steps") != text.npos);
      } else {
        CHECK(text.find("other ranks do not do the same") != text.npos);
      }
      CHECK_FALSE(told(ranks, {.check = is_it ? 1U : 2U}).empty());
      CHECK(told(ranks, {.call = JointCall::leaving}).empty());  // in step again
    }
  });
}
