#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>

#include "lora/core/error.hpp"
#include "lora/distributed/mpi.hpp"
#include "lora/distributed/shard_sum.hpp"

namespace lora::distributed {

/// What ranks do together.
enum class JointCall : std::uint64_t {
  batches,     ///< each lists the batches of an epoch
  step,        ///< they compute a batch
  validation,  ///< rank 0 scores, and the others wait
  beginning,   ///< a run begins, or goes on after it was resumed
  ending,      ///< a run ends
  leaving      ///< the program of a rank returns
};

/// What a rank brings to a meeting.
struct JointPlace {
  JointCall call = JointCall::step;  ///< what the rank is about to do
  std::uint64_t epochs = 0;          ///< of a run, where it begins or ends: those done,
  std::uint64_t steps = 0;           ///< and the steps done, all together
  std::uint64_t check = 0;           ///< stands for all else in which the ranks have to agree

  friend bool operator==(const JointPlace&, const JointPlace&) = default;

  /// Returns what it is for messages: "ends a run after 2 epochs and 17 steps".
  [[nodiscard]] std::string text() const {
    const std::string where = message(" after ", epochs, " epochs and ", steps, " steps");
    switch (call) {
      case JointCall::batches:
        return "lists the batches of an epoch";
      case JointCall::step:
        return "computes a batch";
      case JointCall::validation:
        return "validates";
      case JointCall::beginning:
        return "begins or resumes a run" + where;
      case JointCall::ending:
        return "ends a run" + where;
      case JointCall::leaving:
        break;
    }
    return "has returned from its program";
  }
};

/// The notes by which ranks, 2^k of them, find out that they do not do the same, before any of them
/// waits for messages that never come. There are as many levels as log2 of the ranks, and each rank
/// calls at(level, ...) for each of them in turn and then require(). What two ranks differ in is
/// known to all of them after the last level: all throw, and none is left waiting. Views the ranks.
class Meeting {
 public:
  /// Brings this rank's place.
  Meeting(const Communicator& ranks, const JointPlace& place)
      : ranks_(&ranks), note_{place, {}, 0} {}

  /// Returns the number of levels.
  [[nodiscard]] int levels() const {
    int levels = 0;
    while (1 << levels < ranks_->size()) ++levels;
    return levels;
  }

  /// Returns the rank that this one meets at that level: 0 and 1, 2 and 3; then 0 and 2, 1 and 3.
  [[nodiscard]] int partner(int level) const { return ranks_->rank() ^ 1 << level; }

  /// Exchanges notes with the partner of that level, `sum` too. Returns its sum, or nothing where
  /// some ranks are known to differ, which it knows by then as well. Throws MpiError.
  std::optional<ShardSum> at(int level, const ShardSum& sum = {}) {
    note_.sum = sum;
    Note theirs{};
    ranks_->exchange<Note>(partner(level), {&note_, 1}, {&theirs, 1});
    if (note_.differ == 0 && (theirs.differ != 0 || theirs.place != note_.place)) {
      note_.differ = 1;
      const auto mine = ranks_->rank(), other = partner(level);
      what_ = theirs.place != note_.place
                  ? difference(mine, note_.place, other, theirs.place)
                  : message("rank ", mine, " ", note_.place.text(),
                            ", and other ranks do not do the same: their messages say what");
    }
    if (note_.differ != 0) return std::nullopt;
    return theirs.sum;
  }

  /// Throws StateError, saying which ranks differ and in what, where some do.
  void require() const {
    if (note_.differ != 0) throw StateError(what_);
  }

  /// Does all levels for what needs no sum. Throws StateError and MpiError.
  void hold() {
    for (int level = 0; level < levels(); ++level) static_cast<void>(at(level));
    require();
  }

 private:
  struct Note {
    JointPlace place;
    ShardSum sum;
    std::uint64_t differ;
  };
  static_assert(std::is_trivially_copyable_v<Note>);

  static std::string difference(int mine, const JointPlace& my, int other,
                                const JointPlace& their) {
    if (my.call == JointCall::step && their.call == JointCall::step)
      return message(
          "ranks ", mine, " and ", other,
          " differ in the batch, its shards, the random state or the adapters' values before this "
          "step: every rank runs the same program, built for the same processor, on the same data, "
          "with the same options and seed");
    return message("ranks ", mine, " and ", other, " do not do the same: rank ", mine, " ",
                   my.text(), ", and rank ", other, " ", their.text(),
                   ": every rank makes the same calls, and resumes from the same checkpoint");
  }

  const Communicator* ranks_;
  Note note_;
  std::string what_;
};

}  // namespace lora::distributed
