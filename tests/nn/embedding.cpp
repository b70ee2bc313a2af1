#include <lora/nn/embedding.hpp>

#include <array>
#include <string>
#include <vector>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/finite_difference.hpp"
#include "support/golden.hpp"
#include "support/output_memory.hpp"
#include "support/random_matrix.hpp"
#include "support/threads.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

namespace {

std::vector<int> some_ids(Index n, Index entries, std::uint64_t seed) {
  const Random random(seed);
  std::vector<int> ids;
  for (Index i = 0; i < n; ++i)
    ids.push_back(static_cast<int>(
        random.below(static_cast<std::uint64_t>(entries), 0, static_cast<std::uint64_t>(i))));
  return ids;
}

}  // namespace

TEST_CASE("embedding and the gradient of its tables are PyTorch's") {
  const Golden<float> golden("nn_embedding_f32");
  std::array<std::vector<int>, 3> ids;
  std::vector<EmbeddingLookup<float>> lookups;
  for (std::size_t i = 0; i < 3; ++i) {
    const auto& numbers = golden["ids" + std::to_string(i)];
    for (Index j = 0; j < numbers.size(); ++j) ids[i].push_back(static_cast<int>(numbers(0, j)));
    lookups.push_back({golden["table" + std::to_string(i)], ids[i]});
  }
  Matrix<float> y;
  embedding<float>(lookups, y);
  CHECK(largest_difference(y, golden["y"]) <= Tolerance<float>(3).value);
  for (std::size_t i = 0; i < 3; ++i) {
    const auto& expected = golden["dtable" + std::to_string(i)];
    Matrix<float> dtable = Matrix<float>::Zero(expected.rows(), expected.cols());
    embedding_backward<float>(ids[i], golden["dy"], dtable);
    CHECK(largest_difference(dtable, expected) <= Tolerance<float>(5).value);
  }
}

TEST_CASE("embedding_backward agrees with finite differences and accumulates") {
  Matrix<double> table = random_matrix<double>(5, 70, 1);
  const std::vector<int> ids = some_ids(9, 5, 2);
  const Matrix<double> c = random_matrix<double>(9, 70, 3);
  Matrix<double> dtable = Matrix<double>::Zero(5, 70);
  embedding_backward<double>(ids, c, dtable);
  const auto loss = [&] {
    Matrix<double> y;
    embedding<double>({{table, ids}}, y);
    return (y.array() * c.array()).sum();
  };
  CHECK(relative_error(dtable, finite_difference(table, loss)) < 1e-6);
  const Matrix<double> once = dtable;
  embedding_backward<double>(ids, c, dtable);
  CHECK(largest_difference(dtable, 2 * once) <= Tolerance<double>(9).value);
}

TEST_CASE("embedding gives the same bits for any number of threads and allocates nothing again") {
  const Index n = 500, d = 301;
  const Matrix<float> words = random_matrix<float>(99, d, 1),
                      places = random_matrix<float>(50, d, 2);
  const Matrix<float> dy = random_matrix<float>(n, d, 3);
  const auto ids = some_ids(n, 99, 4), positions = some_ids(n, 50, 5);
  Matrix<float> y_one, dtable_one;
  for (const int count : {1, 2, 3}) {
    const Threads threads(count);
    Matrix<float> y, dtable = Matrix<float>::Zero(99, d);
    const auto step = [&] {
      embedding<float>({{words, ids, "tokens"}, {places, positions, "positions"}}, y);
      dtable.setZero();
      embedding_backward<float>(ids, dy, dtable);
    };
    step();
    if (count == 1) {
      y_one = y;
      dtable_one = dtable;
      CHECK(same_bits(y.row(7), words.row(ids[7]) + places.row(positions[7])));
    }
    CHECK(same_bits(y, y_one));
    CHECK(same_bits(dtable, dtable_one));
    const Threads countable(countable_threads(count));
    step();
    CHECK(allocations_of(step).count == 0);
  }
}

TEST_CASE("embedding refuses what does not fit, before anything changes") {
  const Matrix<float> table = random_matrix<float>(4, 3, 1), other = random_matrix<float>(4, 2, 1);
  const std::vector<int> ids{0, 3}, high{0, 4}, negative{-1, 0}, three{0, 1, 2};
  Matrix<float> y;
  CHECK_THROWS_WITH(embedding<float>({{table, ids}, {table, high, "positions"}}, y),
                    "embedding: id 1 of positions is 4, expected an entry in [0, 4)");
  CHECK_THROWS_AS(embedding<float>({{table, negative}}, y), ShapeError);
  CHECK_THROWS_AS(embedding<float>({{table, ids}, {table, three}}, y), ShapeError);
  CHECK_THROWS_AS(embedding<float>({{table, ids}, {other, ids}}, y), ShapeError);
  CHECK_THROWS_AS(embedding<float>(std::span<const EmbeddingLookup<float>>{}, y), ShapeError);
  CHECK(y.size() == 0);
  Matrix<float> dtable = Matrix<float>::Zero(4, 3);
  const Matrix<float> dy = random_matrix<float>(2, 3, 2);
  CHECK_THROWS_AS(embedding_backward<float>(high, dy, dtable), ShapeError);
  CHECK_THROWS_AS(embedding_backward<float>(three, dy, dtable), ShapeError);
  CHECK_THROWS_AS(embedding_backward<float>(ids, dy.leftCols(2), dtable), ShapeError);
  CHECK(dtable.isZero(0));
  embedding<float>({{table, {}}}, y);
  CHECK((y.rows() == 0 && y.cols() == 3));
}

TEST_CASE("embedding writes to the caller's memory, but not over a table") {
  const Matrix<float> words = random_matrix<float>(5, 3, 1), places = random_matrix<float>(5, 3, 2);
  const std::vector<int> ids{0, 3, 1}, positions{4, 4, 2};
  Matrix<float> y;
  embedding<float>({{words, ids}, {places, positions}}, y);
  check_output<float>(y, [&](Output<float> out) {
    embedding<float>({{words, ids}, {places, positions}}, out);
  });
  Matrix<float> table = words;
  CHECK_THROWS_AS(embedding<float>({{table, ids}}, table), ShapeError);
  CHECK_THROWS_AS(embedding<float>({{places, positions}, {table, ids}}, table.topRows(3)),
                  ShapeError);
  CHECK_THROWS_AS(embedding_backward<float>(ids, table.topRows(3), table), ShapeError);
  CHECK(same_bits(table, words));
}
