#pragma once

// Training on several machines; it needs Eigen, nlohmann-json and an MPI 3
// (target lora::mpi).

#include "lora/distributed/meeting.hpp"
#include "lora/distributed/mpi.hpp"
#include "lora/distributed/options_of_rank.hpp"
#include "lora/distributed/run_on_ranks.hpp"
#include "lora/distributed/shard_sum.hpp"
#include "lora/distributed/sharded_task.hpp"
#include "lora/distributed/sum_over_ranks.hpp"
