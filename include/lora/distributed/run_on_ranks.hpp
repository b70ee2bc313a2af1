#pragma once

#include <mpi.h>

#include <bit>
#include <exception>
#include <iostream>
#include <string>

#include "lora/core/error.hpp"
#include "lora/distributed/meeting.hpp"
#include "lora/distributed/mpi.hpp"

namespace lora::distributed {

/// Runs a program on every rank that mpirun has started, and returns what main returns:
///
///     int main(int argc, char** argv) {
///       return lora::distributed::run_on_ranks(argc, argv, [&](const auto& ranks) {
///         train(ranks);
///         return 0;
///       });
///     }
///
/// What `program` throws is told on standard error with the rank's number, and ends all ranks: the
/// others would wait for its gradients for ever. Where it returns on some ranks while others go on
/// with a ShardedTask of `ranks`, that is an error on all. (Not where the number of ranks is no
/// power of two, or with Communicators of the program's own: then they wait.) Without mpirun there
/// is one rank. Calls MPI_Init_thread and MPI_Finalize, unless MPI runs already. Communicators that
/// `program` makes end with it. Throws MpiError where MPI does not start.
template <class Program>
int run_on_ranks(int& argc, char**& argv, const Program& program) {
  int running = 0, level = 0;
  MPI_Initialized(&running);
  if (running == 0)  // threads compute, and the one that called this speaks with other ranks
    detail::require_success(MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &level),
                            "MPI_Init_thread");
  int result = 1;
  {
    const Communicator ranks;
    const auto fail = [&](const std::string& what) {
      // In one piece: other ranks may speak as well.
      const std::string text = ranks.size() == 1 ? what + '\n'
                                                 : message("rank ", ranks.rank(), " of ",
                                                           ranks.size(), ": ", what, '\n');
      std::cerr << text << std::flush;
      if (ranks.size() > 1) MPI_Abort(MPI_COMM_WORLD, 1);
    };
    try {
      result = program(ranks);
      if (std::has_single_bit(static_cast<unsigned>(ranks.size())))
        Meeting(ranks, {.call = JointCall::leaving}).hold();
    } catch (const std::exception& error) {
      fail(error.what());
    } catch (...) {
      fail("an exception that is none of std::exception's");
    }
  }
  if (running == 0) MPI_Finalize();
  return result;
}

}  // namespace lora::distributed
