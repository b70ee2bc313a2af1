#include <lora/distributed/run_on_ranks.hpp>

#include "support/catch.hpp"

// That a rank which throws ends all of them is tested by processes:
// tests/distributed/CMakeLists.txt.
TEST_CASE("where MPI runs already, a program runs on its ranks and leaves MPI running") {
  int argc = 0;
  char** argv = nullptr;
  int seen = -1;
  CHECK(lora::distributed::run_on_ranks(argc, argv, [&](const auto& ranks) {
          seen = ranks.rank();
          return 3;
        }) == 3);
  CHECK(seen == lora::distributed::Communicator().rank());
  int finalized = 1;
  MPI_Finalized(&finalized);
  CHECK(finalized == 0);
}
