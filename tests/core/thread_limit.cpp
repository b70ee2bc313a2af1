#include <lora/core/parallel.hpp>
#include <lora/core/thread_limit.hpp>

#include "support/catch.hpp"
#include "support/threads.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("a thread limit holds in its scope") {
  const Threads threads(4);
  const int before = threads_for(100, 1e12);
  {
    const ThreadLimit limit(1);
    CHECK(threads_for(100, 1e12) == 1);
    {
      const ThreadLimit wider(3);
      CHECK(threads_for(100, 1e12) == std::min(before, 3));
    }
    CHECK(threads_for(100, 1e12) == 1);
  }
  CHECK(threads_for(100, 1e12) == before);
}
