#include <lora/mpi.hpp>

int main(int argc, char** argv) {
  return lora::distributed::run_on_ranks(
      argc, argv, [](const auto& ranks) { return ranks.size() == 1 ? 0 : 1; });
}
