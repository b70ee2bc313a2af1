#include <lora/train/accumulation.hpp>

#include <array>
#include <limits>

#include <lora/nn/cross_entropy.hpp>
#include <lora/nn/linear.hpp>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;
using namespace lora::train;

namespace {

// Rows of x with a label each, of which some count nothing.
struct Rows {
  Matrix<double> x = random_matrix<double>(9, 4, 1);
  std::array<int, 9> labels{0, -100, 2, 1, -100, -100, 0, 2, 1};
  Linear<double> layer{3, 4, 5};
  Tape<double> tape = Tape<double>();

  // Adds the gradients of the rows' mean loss; `between` is called between forward and backward.
  template <class Between>
  void step(Index first, Index count, const Between& between) {
    Matrix<double> y, dy, dx;
    const auto rows = x.middleRows(first, count);
    const std::span<const int> some =
        std::span(labels).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count));
    layer.forward(rows, tape, y);
    const double loss = cross_entropy(y, some, dy);
    const auto counted = std::count_if(some.begin(), some.end(), [](int l) { return l >= 0; });
    between(BatchLoss{.loss = loss, .count = static_cast<double>(counted)});
    layer.backward(rows, dy, tape, dx);
  }
};

}  // namespace

TEST_CASE("parts of unequal counts add up to the gradient of the whole batch") {
  Rows whole;
  double expected = 0;
  whole.step(0, 9, [&](const BatchLoss& loss) { expected = loss.loss; });
  // 1, 2, 0 and 3 labels that count; then 0 first and last.
  for (const std::vector<std::pair<Index, Index>>& parts :
       {std::vector<std::pair<Index, Index>>{{0, 2}, {2, 2}, {4, 2}, {6, 3}},
        {{1, 1}, {0, 1}, {6, 3}, {2, 2}, {4, 2}}}) {
    Rows rows;
    rows.layer.weight().grad.setConstant(7);  // of a step before
    Accumulation accumulation(rows.layer.parameters());
    for (const auto& [first, count] : parts)
      rows.step(first, count, [&](const BatchLoss& loss) { accumulation.add(loss); });
    CHECK(accumulation.finish() == Approx(expected).epsilon(1e-14));
    CHECK(accumulation.count() == 6);
    CHECK(largest_difference(rows.layer.weight().grad, whole.layer.weight().grad) < 1e-15);
    CHECK(largest_difference(rows.layer.bias().grad, whole.layer.bias().grad) < 1e-15);
  }
}

TEST_CASE("a batch in one part keeps its bits") {
  Rows whole, rows;
  double expected = 0;
  whole.step(0, 9, [&](const BatchLoss& loss) { expected = loss.loss; });
  Accumulation accumulation(rows.layer.parameters());
  rows.step(0, 9, [&](const BatchLoss& loss) { accumulation.add(loss); });
  CHECK(accumulation.finish() == expected);
  CHECK(same_bits(rows.layer.weight().grad, whole.layer.weight().grad));
}

TEST_CASE("where nothing counts loss and gradients are zero") {
  Rows rows;
  rows.layer.weight().grad.setConstant(7);
  Accumulation accumulation(rows.layer.parameters());
  rows.step(4, 2, [&](const BatchLoss& loss) { accumulation.add(loss); });
  CHECK(accumulation.finish() == 0);
  CHECK(rows.layer.weight().grad.isZero(0));
}

TEST_CASE("a loss that is not finite is refused before its gradients are added") {
  Linear<double> layer(2, 2, 1);
  Accumulation accumulation(layer.parameters());
  constexpr double infinity = std::numeric_limits<double>::infinity();
  check_throws<StateError>([&] { accumulation.add({.loss = std::nan("")}); }, "the loss is nan");
  check_throws<StateError>([&] { accumulation.add({.loss = infinity}); }, "the loss is inf");
  for (const double count : {-1.0, infinity, std::nan("")})
    check_throws<StateError>([&] { accumulation.add({.loss = 1, .count = count}); },
                             "over a count of ");
}

TEST_CASE("one part needs no count, several do") {
  Linear<double> layer(2, 2, 1);
  Accumulation one(layer.parameters());
  one.add({.loss = 0.5});
  CHECK(one.finish() == 0.5);
  const std::string what = "the loss of a part has no count";
  check_throws<StateError>([&] { one.add({.loss = 0.5}); }, what);
  check_throws<StateError>([&] { one.add({.loss = 0.5, .count = 3}); }, what);
  for (const double count : {0.0, 3.0}) {
    Accumulation other(layer.parameters());
    other.add({.loss = 0.5, .count = count});
    check_throws<StateError>([&] { other.add({.loss = 0.5}); }, what);
  }
}

TEST_CASE("a batch is cut into parts in its order") {
  CHECK(parts_of({5, 3, 9, 1, 7}, 2) == std::vector<Batch>{{5, 3}, {9, 1}, {7}});
  CHECK(parts_of({5, 3}, 0) == std::vector<Batch>{{5, 3}});
  CHECK(parts_of({}, 2).empty());
  check_throws<ConfigError>([] { static_cast<void>(parts_of({1}, -1)); }, "size is -1");
}
