#include <lora/layers/trainable_tokens.hpp>

#include <limits>
#include <vector>

#include <lora/nn/embedding.hpp>

#include "support/random_matrix.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

namespace {

const std::vector<int> token_ids{3, 0, 5, 3, 1, 5, 3};

// A table with rows that train, as embeddings and as the head: the sum of what each computes times
// some numbers.
struct TiedTable {
  Matrix<double> table = random_matrix<double>(7, 4, 1);
  TrainableTokens<double> tokens{"wte", {5, 3}, table};
  Matrix<double> x = random_matrix<double>(6, 4, 2), dy = random_matrix<double>(7, 4, 3),
                 dlogits = random_matrix<double>(6, 7, 4);

  [[nodiscard]] Matrix<double> embedded() const {
    Matrix<double> y;
    lora::embedding<double>({{table, token_ids}}, y);
    tokens.forward(token_ids, y);
    return y;
  }
  [[nodiscard]] Matrix<double> logits() const {
    Matrix<double> y = x * table.transpose();
    tokens.project(x, y);
    return y;
  }
  [[nodiscard]] double loss() const {
    return embedded().cwiseProduct(dy).sum() + logits().cwiseProduct(dlogits).sum();
  }
};

}  // namespace

TEST_CASE("rows that train take the places of a table's own, in embeddings and in a head") {
  TiedTable tied;
  CHECK(tied.tokens.size() == 2);
  CHECK(tied.tokens.entries() == 7);
  CHECK(tied.tokens.features() == 4);
  CHECK(tied.tokens.values().name == "wte.token_adapter.trainable_tokens_delta");
  CHECK(tied.tokens.parameters().size() == 1);
  // They begin as the table's, in the order of their indices.
  CHECK(tied.tokens.values().value.row(0) == tied.table.row(5));
  CHECK(tied.tokens.values().value.row(1) == tied.table.row(3));
  tied.tokens.values().value = random_matrix<double>(2, 4, 5);
  Matrix<double> replaced = tied.table;
  replaced.row(5) = tied.tokens.values().value.row(0);
  replaced.row(3) = tied.tokens.values().value.row(1);
  Matrix<double> expected;
  lora::embedding<double>({{replaced, token_ids}}, expected);
  CHECK(tied.embedded() == expected);
  CHECK(largest_difference(tied.logits(), Matrix<double>(tied.x * replaced.transpose())) < 1e-14);
  tied.tokens.disable_adapter();
  lora::embedding<double>({{tied.table, token_ids}}, expected);
  CHECK(tied.embedded() == expected);
  CHECK(tied.logits() == tied.x * tied.table.transpose());
  check_throws<StateError>([&] { tied.tokens.backward(token_ids, tied.dy); },
                           "wte (TrainableTokens::backward): the rows are switched off");
}

TEST_CASE("the gradients of rows that train, and below a head that has them, are numerical ones") {
  TiedTable tied;
  tied.tokens.values().value = random_matrix<double>(2, 4, 5);
  Matrix<double> dx = tied.dlogits * tied.table;
  tied.tokens.backward(token_ids, tied.dy);
  tied.tokens.project_backward(tied.x, tied.dlogits, dx);
  const auto check = [&](double& value, double gradient) {
    const double before = value, step = 1e-5;
    value = before + step;
    const double up = tied.loss();
    value = before - step;
    const double down = tied.loss();
    value = before;
    CHECK((up - down) / (2 * step) == Approx(gradient).epsilon(1e-7));
  };
  auto& parameter = tied.tokens.values();
  for (Index i = 0; i < parameter.size(); ++i)
    check(parameter.value.data()[i], parameter.grad.data()[i]);
  for (Index i = 0; i < dx.size(); ++i) check(tied.x.data()[i], dx.data()[i]);
  // Outside of the layer the same is added.
  Gradients<double> outside(tied.tokens.parameters());
  tied.tokens.backward(token_ids, tied.dy, outside);
  Matrix<double> again = tied.dlogits * tied.table;
  tied.tokens.project_backward(tied.x, tied.dlogits, outside, again);
  CHECK(outside.of(parameter) == parameter.grad);
  CHECK(again == dx);
}

TEST_CASE("rows that train are merged into their table, and taken out again to the bit") {
  TiedTable tied;
  tied.tokens.values().value = random_matrix<double>(2, 4, 5);
  tied.table(3, 1) = 1e-320;  // which no sum would give back
  const Matrix<double> before = tied.table, embedded = tied.embedded(), logits = tied.logits();
  tied.tokens.merge(tied.table);
  CHECK(tied.tokens.merged());
  CHECK(tied.table != before);
  CHECK(tied.embedded() == embedded);
  CHECK(largest_difference(tied.logits(), logits) < 1e-14);
  check_throws<StateError>([&] { tied.tokens.merge(tied.table); },
                           "wte (TrainableTokens::merge): the rows are merged already");
  check_throws<StateError>([&] { tied.tokens.disable_adapter(); },
                           "wte (TrainableTokens::disable_adapter): the rows are merged");
  check_throws<StateError>([&] { tied.tokens.backward(token_ids, tied.dy); }, "unmerge() first");
  tied.tokens.unmerge(tied.table);
  CHECK(tied.table == before);
  check_throws<StateError>([&] { tied.tokens.unmerge(tied.table); }, "the rows are not merged");
}

TEST_CASE("rows that a table does not have, or twice, and other shapes are refused") {
  const Matrix<float> table = random_matrix<float>(7, 4, 1);
  const auto refused = [&](std::vector<int> indices, const std::string& what) {
    check_throws<ConfigError>([&] { TrainableTokens<float>("wte", indices, table); },
                              "TrainableTokens: the trainable_token_indices of \"wte\" " + what);
  };
  refused({}, "are none, expected at least one");
  refused({2, 7}, "have 7, expected a row in [0, 7)");
  refused({-1, 2}, "have -1, expected a row in [0, 7)");
  refused({6, 2, 6}, "have 6 twice");

  TrainableTokens<float> tokens("wte", {5, 3}, table);
  Matrix<float> y(3, 4), logits(3, 7), wide(3, 5), dx(3, 4);
  const std::vector<int> ids{1, 2};
  check_throws<ShapeError>([&] { tokens.forward(ids, y); },
                           "wte (TrainableTokens::forward): y is (3, 4), expected (ids = 2, "
                           "features = 4)");
  check_throws<ShapeError>([&] { tokens.backward(ids, y); }, "dy is (3, 4)");
  check_throws<ShapeError>([&] { tokens.project(wide, logits); }, "x is (3, 5)");
  check_throws<ShapeError>([&] { tokens.project(y, wide); },
                           "y is (3, 5), expected (rows of x = 3, "
                           "entries = 7)");
  check_throws<ShapeError>([&] { tokens.project_backward(y, logits, wide); }, "dx is (3, 5)");
  check_throws<ShapeError>([&] { tokens.merge(wide); }, "table is (3, 5)");
}
