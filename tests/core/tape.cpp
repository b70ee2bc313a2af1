#include <lora/core/tape.hpp>

#include <array>
#include <stdexcept>
#include <utility>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("a tape gives frames back in reverse order and keeps their memory") {
  Tape<float> tape;
  const int first = 0, second = 0;
  CHECK(tape.empty());
  tape.push(&first, "first", 2).keep(2, 3).setConstant(1);
  tape.push(&second, "second", 4).keep(4, 5).setConstant(2);
  CHECK(tape.top(&second, 4, "here").kept().sum() == 40);
  CHECK_THROWS_AS(tape.top(&second, 3, "here"), ShapeError);
  check_throws<StateError>([&] { static_cast<void>(tape.top(&first, 2, "here")); },
                           "here: the newest forward on the tape is of second: backward runs in "
                           "the reverse order of forward");
  tape.pop();
  CHECK(tape.top(&first, 2, "here").kept().sum() == 6);
  tape.pop();
  CHECK(tape.empty());
  check_throws<StateError>([&] { static_cast<void>(tape.top(&first, 2, "Layer::backward")); },
                           "Layer::backward: the tape is empty");
}

TEST_CASE("a frame keeps several matrices that stay where they are") {
  Tape<float> tape;
  const int owner = 0;
  auto& frame = tape.push(&owner, "", 2);
  const MatrixRef<float> a = frame.keep(2, 3);
  const float* const at = a.data();
  for (int i = 0; i < 20; ++i) static_cast<void>(tape.push(&owner, "", 100).keep(100, 100));
  const MatrixRef<float> b = frame.keep(7, 5);
  CHECK(b.rows() == 7);
  CHECK(frame.kept(0).data() == at);
  CHECK(frame.kept(1).cols() == 5);
  CHECK_THROWS_AS(frame.kept(2), std::out_of_range);
}

TEST_CASE("a frame keeps matrices without elements like all others") {
  Tape<float> tape;
  const int owner = 0;
  auto& frame = tape.push(&owner, "", 0);
  for (const auto& [rows, cols] : {std::pair<lora::Index, lora::Index>{0, 5}, {3, 0}, {0, 0}}) {
    MatrixRef<float> none = frame.keep(rows, cols);
    CHECK(none.rows() == rows);
    CHECK(none.cols() == cols);
    CHECK(none.data() != nullptr);  // so that it can be told from what was never kept
    none.setZero();
    none.noalias() = Matrix<float>::Ones(rows, 2) * Matrix<float>::Ones(2, cols);
  }
  CHECK(frame.kept(1).rows() == 3);
  CHECK(frame.kept(1).data() != frame.kept(2).data());
  check_throws<ShapeError>([&] { static_cast<void>(frame.keep(-1, 3)); },
                           "Tape::Frame::keep: (-1, 3)");
  CHECK_THROWS_AS(frame.keep(-1, -3), ShapeError);
  CHECK_THROWS_AS(frame.kept(3), std::out_of_range);
}

TEST_CASE("a frame does not give what an earlier forward kept in its memory") {
  Tape<float> tape;
  const int owner = 0;
  static_cast<void>(tape.push(&owner, "", 2).keep(2, 3));
  tape.pop();
  auto& frame = tape.push(&owner, "", 2);
  CHECK_THROWS_AS(frame.kept(), std::out_of_range);
}

TEST_CASE("the second pass of the same shapes allocates nothing on the tape") {
  Tape<double> tape;
  const std::array<int, 3> owners{};
  const auto pass = [&] {
    for (const int& owner : owners) {
      auto& frame = tape.push(&owner, "a layer of some name that is long", 5);
      static_cast<void>(frame.keep(5, 7));
      static_cast<void>(frame.keep(5, 2));
    }
    for (std::size_t i = 0; i < owners.size(); ++i) tape.pop();
  };
  pass();
  CHECK(allocations_of(pass).count == 0);
}

TEST_CASE("a frame knows its input") {
  Tape<float> tape;
  const int owner = 0;
  Matrix<float> x = random_matrix<float>(9, 5, 1), other = x;
  auto& frame = tape.push(&owner, "", 9);
  CHECK_NOTHROW(frame.require_input(x, "here"));  // nothing was noted
  frame.note_input(x);
  CHECK_NOTHROW(frame.require_input(x, "here"));
  check_throws<StateError>([&] { frame.require_input(other, "q: here"); },
                           "q: here: x lies elsewhere than in the forward on the tape");
  check_throws<StateError>([&] { frame.require_input(x.topRows(8), "here"); },
                           "here: x is (8, 5), expected the (9, 5)");
  x *= 2;
  check_throws<StateError>([&] { frame.require_input(x, "here"); },
                           "here: the elements of x are not those of the forward");
}

TEST_CASE("a frame knows several inputs, the columns of its output and a layout") {
  Tape<float> tape;
  const int owner = 0;
  Matrix<float> q = random_matrix<float>(9, 5, 1), k = random_matrix<float>(4, 5, 2);
  auto& frame = tape.push(&owner, "", 9, 7);
  frame.note_input(q);
  frame.note_input(k);
  frame.note_layout(12);
  CHECK(frame.cols() == 7);
  CHECK(frame.layout() == 12);
  CHECK_NOTHROW(frame.mark(0).require(q, "here"));
  CHECK_NOTHROW(frame.mark(1).require(k, "here"));
  check_throws<StateError>([&] { frame.mark(1).require(q, "here", "k"); },
                           "here: k is (9, 5), expected the (4, 5)");
  tape.pop();
  auto& next = tape.push(&owner, "", 9);
  CHECK(next.cols() == 0);
  CHECK(next.layout() == 0);
  CHECK_THROWS_AS(next.mark(0), std::out_of_range);
}

TEST_CASE("a mask's step depends on the pass and on the owner's own forwards alone") {
  const int a = 0, b = 0;
  Tape<float> alone, together;
  std::vector<std::uint64_t> steps;
  for (int pass = 0; pass < 3; ++pass) {
    for (int run = 0; run < 2; ++run) {
      static_cast<void>(together.push(&b, "", 1));
      const auto step = alone.push(&a, "", 1).mask_step();
      CHECK(together.push(&a, "", 1).mask_step() == step);
      for (const std::uint64_t before : steps) CHECK(before != step);
      steps.push_back(step);
    }
    for (int run = 0; run < 2; ++run) alone.pop();
    together.clear();
  }
  CHECK(alone.random_state() == together.random_state());
  CHECK(alone.random_state().step == 3);
  CHECK(Tape<float>(1).push(&a, "", 1).mask_step() != Tape<float>(2).push(&a, "", 1).mask_step());
}

TEST_CASE("a forward that is forgotten does not freeze the masks") {
  Tape<float> tape;
  const int owner = 0;
  const auto first = tape.push(&owner, "", 1).mask_step();  // and no backward
  const auto second = tape.push(&owner, "", 1).mask_step();
  tape.pop();
  const auto third = tape.push(&owner, "", 1).mask_step();
  CHECK(first != second);
  CHECK(second != third);
}

TEST_CASE("a tape goes on from a random state that was saved") {
  Tape<float> tape(3);
  const int owner = 0;
  static_cast<void>(tape.push(&owner, "", 1));
  tape.pop();
  const auto state = tape.random_state();
  CHECK(state.stream == 3);
  const auto next = tape.push(&owner, "", 1).mask_step();
  Tape<float> again;
  again.set_random_state(state);
  CHECK(again.push(&owner, "", 1).mask_step() == next);
}

TEST_CASE("a tape finds the frame of a composite below those of its layers, and the newest one") {
  Tape<float> tape;
  const int composite = 0, inner = 0;
  check_throws<StateError>([&] { static_cast<void>(tape.newest()); }, "the tape is empty");
  tape.push(&composite, "composite", 2).keep(2, 3).setConstant(1);
  static_cast<void>(tape.push(&inner, "inner", 5));
  CHECK(tape.find(&composite, "here").kept().sum() == 6);
  CHECK(tape.newest().rows() == 5);
  tape.clear();
  check_throws<StateError>([&] { static_cast<void>(tape.find(&composite, "here")); },
                           "here: the tape is empty");
  static_cast<void>(tape.push(&inner, "inner", 5));
  check_throws<StateError>([&] { static_cast<void>(tape.find(&composite, "here")); },
                           "here: it is not on the tape");
}

TEST_CASE("a caller that computes an input again may give a copy of it to backward") {
  Tape<float> tape;
  const int layer = 0;
  const Matrix<float> x = random_matrix<float>(3, 4, 1), copy = x;
  const Matrix<float> other = random_matrix<float>(3, 4, 2);
  tape.push(&layer, "layer", 3).note_input(x);
  check_throws<StateError>([&] { tape.newest().require_input(copy, "here"); }, "lies elsewhere");
  tape.newest().allow_copies();
  tape.newest().require_input(copy, "here");
  tape.newest().require_input(x, "here");
  check_throws<StateError>([&] { tape.newest().require_input(other, "here"); },
                           "the elements of x");
}

TEST_CASE("tapes of different streams draw different masks, however large their numbers") {
  const int a = 0;
  std::vector<std::uint64_t> steps;
  for (const std::uint64_t stream : {0ULL, 1ULL, 65536ULL, 1ULL << 48, ~0ULL}) {
    const auto step = Tape<float>(stream).push(&a, "", 1).mask_step();
    for (const std::uint64_t before : steps) CHECK(before != step);
    steps.push_back(step);
  }
}
