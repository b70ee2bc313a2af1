// The entry of the tests that several ranks run at the same time, each all of them in one order.
#include <lora/distributed/run_on_ranks.hpp>

#if __has_include(<catch2/catch_session.hpp>)
#include <catch2/catch_session.hpp>
#else
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>
#endif

int main(int argc, char** argv) {
  return lora::distributed::run_on_ranks(
      argc, argv, [&](const auto&) { return Catch::Session().run(argc, argv); });
}
