#pragma once

#include <mpi.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>

#include "lora/core/error.hpp"

namespace lora::distributed {

/// Is thrown where a call of MPI fails, with MPI's own words.
class MpiError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

namespace detail {

/// Throws MpiError, naming the call, unless `code` is MPI_SUCCESS.
inline void require_success(int code, const char* call) {
  if (code == MPI_SUCCESS) return;
  std::string text(MPI_MAX_ERROR_STRING, '\0');
  int length = 0;
  MPI_Error_string(code, text.data(), &length);
  text.resize(static_cast<std::size_t>(length));
  throw MpiError(message(call, ": ", text));
}

}  // namespace detail

/// The ranks of a run, processes on one machine or several, and the messages between them: a
/// duplicate of an MPI communicator, so that no message is taken for one of the program's own.
///
/// Every member but rank() and size() is collective or has its counterpart on another rank. They
/// throw MpiError. Needs MPI_Init before, and must be gone before MPI_Finalize: see run_on_ranks.
/// One thread at a time.
class Communicator {
 public:
  /// Duplicates `ranks`, all of which have to call this.
  explicit Communicator(MPI_Comm ranks = MPI_COMM_WORLD) : comm_(new MPI_Comm(MPI_COMM_NULL)) {
    detail::require_success(MPI_Comm_dup(ranks, comm_.get()), "MPI_Comm_dup");
    // What fails is told by an exception, like all else, and not by the end of the process.
    MPI_Comm_set_errhandler(*comm_, MPI_ERRORS_RETURN);
    detail::require_success(MPI_Comm_rank(*comm_, &rank_), "MPI_Comm_rank");
    detail::require_success(MPI_Comm_size(*comm_, &size_), "MPI_Comm_size");
  }

  /// Returns the number of this process, from 0 to size() - 1.
  [[nodiscard]] int rank() const { return rank_; }

  /// Returns how many processes there are.
  [[nodiscard]] int size() const { return size_; }

  /// Tells whether this is the rank that speaks and writes for all: rank 0.
  [[nodiscard]] bool leads() const { return rank_ == 0; }

  /// Sends `mine` to rank `other` and receives `theirs` from it, which calls this with the two
  /// lengths exchanged. They may not overlap.
  template <class T>
  requires std::is_trivially_copyable_v<T>
  void exchange(int other, std::span<const T> mine, std::span<T> theirs) const {
    // MPI counts in int: what is longer travels in several messages.
    constexpr std::size_t most = (std::size_t{1} << 30) / sizeof(T);
    std::size_t sent = 0, received = 0;
    do {
      const std::size_t out = std::min(most, mine.size() - sent);
      const std::size_t in = std::min(most, theirs.size() - received);
      detail::require_success(
          MPI_Sendrecv(mine.data() + sent, static_cast<int>(out * sizeof(T)), MPI_BYTE, other, 0,
                       theirs.data() + received, static_cast<int>(in * sizeof(T)), MPI_BYTE, other,
                       0, *comm_, MPI_STATUS_IGNORE),
          "MPI_Sendrecv");
      sent += out;
      received += in;
    } while (sent < mine.size() || received < theirs.size());
  }

  /// Returns the `value` of rank 0 on every rank.
  template <class T>
  requires std::is_trivially_copyable_v<T>
  [[nodiscard]] T from_leader(T value) const {
    detail::require_success(MPI_Bcast(&value, sizeof(T), MPI_BYTE, 0, *comm_), "MPI_Bcast");
    return value;
  }

  /// Throws ConfigError on every rank, saying that `what` differs, unless all ranks bring the same
  /// number.
  void require_same(std::uint64_t number, std::string_view what) const {
    std::uint64_t least = 0, most = 0;
    detail::require_success(MPI_Allreduce(&number, &least, 1, MPI_UINT64_T, MPI_MIN, *comm_),
                            "MPI_Allreduce");
    detail::require_success(MPI_Allreduce(&number, &most, 1, MPI_UINT64_T, MPI_MAX, *comm_),
                            "MPI_Allreduce");
    if (least != most)
      throw ConfigError(
          message("the ranks differ in ", what, ", expected the same on all ", size_));
  }

  /// Waits until every rank has called this.
  void wait() const { detail::require_success(MPI_Barrier(*comm_), "MPI_Barrier"); }

 private:
  struct Free {
    void operator()(MPI_Comm* comm) const {
      if (*comm != MPI_COMM_NULL) MPI_Comm_free(comm);
      delete comm;
    }
  };

  std::unique_ptr<MPI_Comm, Free> comm_;
  int rank_ = 0;
  int size_ = 1;
};

}  // namespace lora::distributed
