#include <lora/core/published.hpp>

#include <array>
#include <stdexcept>
#include <thread>
#include <type_traits>

#include "support/allocations.hpp"
#include "support/catch.hpp"

using namespace lora;

namespace {

// Two numbers that belong together, and how many of their kind there are.
struct Pair {
  int one = 0, two = 0;
};

}  // namespace

TEST_CASE("what was got stays as it was when another value is published") {
  Published<Pair> published(Pair{1, 1});
  const auto before = published.get();
  published.update([](Pair& pair) { pair = {2, 2}; });
  CHECK(before->one == 1);
  CHECK(published.get()->one == 2);
  CHECK(test::allocations_of([&] { static_cast<void>(published.get()); }).count == 0);
}

TEST_CASE("nobody's value is freed") {
  Published<Pair> published(Pair{});
  const std::weak_ptr<const Pair> old = published.get();
  published.update([](Pair&) {});
  CHECK(old.expired());
}

TEST_CASE("a change that throws changes nothing") {
  Published<Pair> published(Pair{1, 1});
  const auto before = published.get();
  CHECK_THROWS_AS(published.update([](Pair& pair) {
    pair.one = 2;
    throw std::runtime_error("no");
  }),
                  std::runtime_error);
  CHECK(published.get() == before);
}

TEST_CASE("copies share the value until one of them changes, and a move takes it along") {
  Published<Pair> one(Pair{1, 1});
  Published<Pair> two(one);
  CHECK(one.get() == two.get());
  two.update([](Pair& pair) { pair.one = 2; });
  CHECK(one.get()->one == 1);
  const auto value = two.get();
  Published<Pair> three(std::move(two));
  CHECK(three.get() == value);
  one = three;
  CHECK(one.get() == value);
  STATIC_REQUIRE(std::is_nothrow_move_constructible_v<Published<Pair>>);
}

TEST_CASE("readers see whole values while they are replaced, and changes are not lost",
          "[threads]") {
  Published<Pair> published(Pair{});
  constexpr int changes = 2000;
  std::array<bool, 4> whole{};
  {
    std::array<std::jthread, 6> threads;
    for (std::size_t i = 0; i < whole.size(); ++i)
      threads[i] = std::jthread([&, i] {
        bool all = true;
        for (int k = 0; k < changes; ++k) {
          const auto pair = published.get();
          all = all && pair->one == pair->two;
        }
        whole[i] = all;
      });
    for (std::size_t i = whole.size(); i < threads.size(); ++i)
      threads[i] = std::jthread([&] {
        for (int k = 0; k < changes; ++k)
          published.update([](Pair& pair) {
            ++pair.one;
            ++pair.two;
          });
      });
  }
  for (const bool all : whole) CHECK(all);
  CHECK(published.get()->one == 2 * changes);
}
