#include <lora/nn/sequences.hpp>

#include <array>
#include <vector>

#include "support/catch.hpp"

using namespace lora;

TEST_CASE("Sequences pads on the right") {
  const auto sequences = Sequences::padded(std::array{3, 0, 4}, 4);
  CHECK(sequences.size() == 3);
  CHECK(sequences.rows() == 12);
  CHECK(sequences.tokens() == 7);
  CHECK(sequences.longest() == 4);
  CHECK(sequences[2].begin == 8);
  CHECK(sequences[0].last == 3);
  CHECK((sequences.is_token(2) && !sequences.is_token(3) && !sequences.is_token(4)));
  CHECK(sequences.positions()[7] == 3);
}

TEST_CASE("Sequences reads a mask with padding anywhere") {
  const std::vector<int> mask{1, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0};
  const auto sequences = Sequences::masked(mask, 4);
  CHECK(sequences.size() == 3);
  CHECK(sequences.tokens() == 4);
  for (Index row = 0; row < 12; ++row)
    CHECK(sequences.is_token(row) == (mask[static_cast<std::size_t>(row)] == 1));
  CHECK_FALSE(sequences[0].holes);
  CHECK(sequences[1].holes);
  CHECK((sequences[1].first == 1 && sequences[1].last == 4 && sequences[1].tokens == 2));
  CHECK((sequences[2].first == 0 && sequences[2].last == 0 && sequences[2].tokens == 0));
  CHECK(sequences.longest() == 3);
}

TEST_CASE("Sequences packs without padding") {
  const auto sequences = Sequences::packed(std::array{3, 0, 2});
  CHECK(sequences.rows() == 5);
  CHECK(sequences.tokens() == 5);
  CHECK(sequences[2].begin == 3);
  CHECK(std::vector<int>(sequences.positions().begin(), sequences.positions().end()) ==
        std::vector<int>{0, 1, 2, 0, 1});
}

TEST_CASE("Sequences refuses what is not a batch and stays as it was") {
  auto sequences = Sequences::padded(std::array{1}, 2);
  CHECK_THROWS_WITH(sequences.set_padded(std::array{1, 3}, 2),
                    "Sequences::padded: length 1 is 3, expected 0 to 2");
  CHECK_THROWS_AS(sequences.set_padded(std::array{-1}, 2), ShapeError);
  CHECK_THROWS_AS(sequences.set_padded(std::array{0}, -1), ShapeError);
  CHECK_THROWS_AS(sequences.set_masked(std::array{1, 0, 1}, 2), ShapeError);
  CHECK_THROWS_AS(sequences.set_masked(std::array{1, 2}, 2), ShapeError);
  CHECK_THROWS_AS(sequences.set_masked(std::array{1, 1}, 0), ShapeError);
  CHECK_THROWS_AS(sequences.set_packed(std::array{1, -1}), ShapeError);
  CHECK(sequences.rows() == 2);
  sequences.set_packed({});
  CHECK((sequences.size() == 0 && sequences.rows() == 0 && sequences.longest() == 0));
}

TEST_CASE("the layouts of batches of other lengths, padding or masks differ") {
  const std::vector<Sequences> batches{Sequences(),
                                       Sequences::packed(std::array{4, 3}),
                                       Sequences::packed(std::array{3, 4}),
                                       Sequences::packed(std::array{7}),
                                       Sequences::padded(std::array{2, 2}, 4),
                                       Sequences::padded(std::array{2, 3}, 4),
                                       Sequences::masked(std::array{1, 0, 1, 1, 0, 0, 0, 0}, 4),
                                       Sequences::masked(std::array{1, 1, 0, 1, 0, 0, 0, 0}, 4)};
  for (std::size_t a = 0; a < batches.size(); ++a)
    for (std::size_t b = 0; b < batches.size(); ++b)
      CHECK((batches[a].layout() == batches[b].layout()) == (a == b));
  auto again = Sequences::packed(std::array{5});
  again.set_padded(std::array{2, 3}, 4);
  CHECK(again.layout() == batches[5].layout());
  CHECK(Sequences::masked(std::array{1, 1, 0, 0, 1, 1, 1, 0}, 4).layout() == again.layout());
}

TEST_CASE("chosen rows of a batch know their place in it") {
  const Sequences all = Sequences::packed(std::array{3, 0, 4});
  Sequences chosen;
  chosen.set_selected(all, std::vector<Index>{1, 4, 6});
  CHECK(chosen.selected());
  CHECK(!all.selected());
  CHECK(chosen.size() == 3);
  CHECK(chosen.rows() == 3);
  CHECK(chosen[0].rows == 1);
  CHECK(chosen[1].rows == 0);
  CHECK(chosen[2].rows == 2);
  CHECK(std::vector<int>(chosen.positions().begin(), chosen.positions().end()) ==
        std::vector<int>{1, 1, 3});
  Sequences other;
  other.set_selected(all, std::vector<Index>{1, 5, 6});
  CHECK(other.layout() != chosen.layout());
  const std::vector<int> mask{0, 1, 1};
  CHECK_THROWS_AS(chosen.set_selected(Sequences::masked(mask, 3), std::vector<Index>{0}),
                  ShapeError);
  CHECK_THROWS_AS(chosen.set_selected(all, std::vector<Index>{2, 2}), ShapeError);
  CHECK_THROWS_AS(chosen.set_selected(all, std::vector<Index>{7}), ShapeError);
  CHECK(chosen.rows() == 3);
  chosen.set_packed(std::array{2});
  CHECK(!chosen.selected());
}
