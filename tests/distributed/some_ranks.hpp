#pragma once

#include <lora/distributed/mpi.hpp>

namespace lora::test {

/// Calls `action` on the first `count` ranks, with a communicator of theirs; the others wait. Does
/// nothing where there are fewer.
template <class Action>
void on_ranks(int count, const Action& action) {
  const distributed::Communicator world;
  if (count > world.size()) return;
  MPI_Comm some = MPI_COMM_NULL;
  MPI_Comm_split(MPI_COMM_WORLD, world.rank() < count ? 0 : MPI_UNDEFINED, 0, &some);
  if (some != MPI_COMM_NULL) {
    action(distributed::Communicator(some));
    MPI_Comm_free(&some);
  }
  world.wait();
}

/// This process alone.
inline distributed::Communicator alone() { return distributed::Communicator(MPI_COMM_SELF); }

}  // namespace lora::test
