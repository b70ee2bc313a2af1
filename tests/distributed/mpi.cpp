#include <lora/distributed/mpi.hpp>

#include <vector>

#include "distributed/some_ranks.hpp"
#include "support/catch.hpp"
#include "support/throws.hpp"

using lora::distributed::Communicator;

TEST_CASE("ranks exchange spans of unequal lengths, empty ones too") {
  const Communicator ranks;
  if (ranks.size() % 2 != 0) return;
  const int other = ranks.rank() ^ 1;
  const auto length = [](int rank) { return static_cast<std::size_t>(rank % 2 == 0 ? 5 : 0); };
  const std::vector<int> mine(length(ranks.rank()), ranks.rank());
  std::vector<int> theirs(length(other), -1);
  ranks.exchange<int>(other, mine, theirs);
  CHECK(theirs == std::vector<int>(length(other), other));
}

TEST_CASE("all ranks get what the leader has") {
  const Communicator ranks;
  CHECK(ranks.from_leader(10 + ranks.rank()) == 10);
  CHECK(ranks.leads() == (ranks.rank() == 0));
}

TEST_CASE("ranks that bring different numbers are all told") {
  const Communicator ranks;
  CHECK_NOTHROW(ranks.require_same(7, "the seed"));
  const auto differ = [&] { ranks.require_same(ranks.rank() == 0 ? 1 : 2, "the seed"); };
  if (ranks.size() == 1)
    CHECK_NOTHROW(differ());
  else
    CHECK_THROWS_WITH(differ(), Catch::Matchers::ContainsSubstring("differ in the seed"));
}

TEST_CASE("a failing call of MPI is an exception with its name") {
  const Communicator ranks;
  const std::vector<int> mine{1};
  std::vector<int> theirs{0};
  CHECK_THROWS_AS(ranks.exchange<int>(ranks.size(), mine, theirs), lora::distributed::MpiError);
}
