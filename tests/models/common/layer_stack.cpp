// Blocks of a family that is built nowhere: y = tanh(x W^T + b), of all rows or of the first ones.
#include <lora/models/common/layer_stack.hpp>

#include <vector>

#include <lora/nn/dropout.hpp>
#include <lora/nn/linear.hpp>
#include <lora/nn/tanh.hpp>

#include "support/catch.hpp"
#include "support/finite_difference.hpp"
#include "support/random_matrix.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;
using models::LayerStack;
using models::ModelParameters;

namespace {

struct ToyRows {
  Index rows = 0;
  bool whole = true;
  [[nodiscard]] Index count() const { return rows; }
  [[nodiscard]] bool all() const { return whole; }
};

class ToyBlock {
 public:
  using Scalar = double;
  using Rows = ToyRows;

  ToyBlock(Index d, bool trains, std::uint64_t seed)
      : linear_(d, d, seed), dropout_(0.3, seed), trains_(trains) {}

  void forward(ConstMatrixRef<double> x, const ToyRows& rows, Tape<double>* tape,
               MatrixRef<double> y) const {
    const ConstMatrixRef<double> read = x.topRows(rows.count());
    if (tape == nullptr) {
      linear_.forward(read, y);
    } else {
      linear_.forward(read, *tape, y);
      dropout_.forward(y, *tape, y);
    }
    tanh_activation<double>(y, y);
  }

  void backward(ConstMatrixRef<double> x, ConstMatrixRef<double> y, const ToyRows& rows,
                Tape<double>& tape, GradientTarget<double> target, MatrixRef<double> dy,
                const MatrixRef<double>* dx) const {
    tanh_activation_backward<double>(y, dy, dy);
    dropout_.backward(dy, tape, dy);
    Matrix<double> of_read;
    linear_.backward(x.topRows(rows.count()), dy, tape, target, of_read);
    if (dx == nullptr) return;
    MatrixRef<double> out = *dx;
    out.setZero();
    out.topRows(rows.count()) = of_read;
  }

  void list(ModelParameters<double>& list) {
    list.total += linear_.total_parameters();
    if (trains_)
      for (Parameter<double>* parameter : linear_.parameters()) list.add(*parameter);
  }

  template <class Action>
  void for_each_adapted(const Action&) {}

  [[nodiscard]] bool has_dropout() const { return true; }

 private:
  Linear<double> linear_;
  Dropout<double> dropout_;
  bool trains_;
};

constexpr Index toy_features = 3;

LayerStack<ToyBlock> toy_stack(const std::vector<bool>& trains, bool below = false,
                               bool recompute = false) {
  std::vector<ToyBlock> blocks;
  for (std::size_t i = 0; i < trains.size(); ++i)
    blocks.emplace_back(toy_features, trains[i], 10 + i);
  return {std::move(blocks), toy_features, below, recompute};
}

// One forward and backward of sum(y * c) with the masks of a fresh tape.
struct ToyRun {
  ToyRun(LayerStack<ToyBlock>& stack, const Matrix<double>& x, const ToyRows& last,
         const Matrix<double>& c) {
    const ToyRows all{x.rows(), true};
    Scratch scratch;
    const MatrixRef<double> result =
        stack.forward(all, last, &tape, &again, scratch, [&](MatrixRef<double> in) { in = x; });
    y = result;
    kept = tape.bytes();
    if (!stack.trains()) return;
    MatrixRef<double> dy = scratch.matrix<double>(y.rows(), y.cols());
    dy = c;
    stack.backward(all, last, tape, again, GradientTarget<double>::own(), dy,
                   [&](ConstMatrixRef<double> in, ConstMatrixRef<double> din) {
                     CHECK(same_bits(in, x));
                     dx = din;
                   });
    CHECK(tape.empty());
    ModelParameters<double> list;
    stack.list(list);
    for (Parameter<double>* parameter : list.trained) gradients.push_back(parameter->grad);
    zero_grad(list.trained);
  }

  Tape<double> tape, again;
  Matrix<double> y, dx;
  std::size_t kept = 0;
  std::vector<Matrix<double>> gradients;
};

}  // namespace

TEST_CASE("a stack's gradients are those of finite differences, also of fewer rows at its end") {
  for (const Index read : {5, 2}) {
    auto stack = toy_stack({true, true, true}, true);
    Matrix<double> x = random_matrix<double>(5, toy_features, 1);
    const ToyRows last{read, read == 5};
    const Matrix<double> c = random_matrix<double>(read, toy_features, 2);
    const ToyRun run(stack, x, last, c);
    const auto loss = [&] { return (ToyRun(stack, x, last, c).y.array() * c.array()).sum(); };
    CHECK(relative_error(run.dx, finite_difference(x, loss)) < 1e-6);
    ModelParameters<double> list;
    stack.list(list);
    REQUIRE(list.trained.size() == 6);
    for (std::size_t i = 0; i < 6; ++i)
      CHECK(relative_error(run.gradients[i], finite_difference(list.trained[i]->value, loss)) <
            1e-6);
  }
}

TEST_CASE("a stack keeps nothing of the blocks below the first that trains") {
  const Matrix<double> x = random_matrix<double>(5, toy_features, 1);
  const Matrix<double> c = random_matrix<double>(5, toy_features, 2);
  const ToyRows last{5, true};
  auto all = toy_stack({true, true, true}), top = toy_stack({false, false, true}),
       none = toy_stack({false, false, false});
  const ToyRun of_all(all, x, last, c), of_top(top, x, last, c), of_none(none, x, last, c);
  CHECK(same_bits(of_top.y, of_all.y));
  CHECK(same_bits(of_none.y, of_all.y));
  CHECK(same_bits(of_top.gradients.at(0), of_all.gradients.at(4)));
  CHECK(of_top.dx.size() == 0);
  CHECK(of_top.kept == of_all.kept / 2);  // two hidden states of four
  CHECK(!none.trains());
  CHECK(of_none.kept == 0);
}

TEST_CASE("blocks that are computed again give the same bits, and keep their inputs alone") {
  const Matrix<double> x = random_matrix<double>(5, toy_features, 1);
  const Matrix<double> c = random_matrix<double>(2, toy_features, 2);
  const ToyRows last{2, false};
  auto kept = toy_stack({true, false, true}, true),
       again = toy_stack({true, false, true}, true, true);
  const ToyRun expected(kept, x, last, c), run(again, x, last, c);
  CHECK(same_bits(run.y, expected.y));
  CHECK(same_bits(run.dx, expected.dx));
  REQUIRE(run.gradients.size() == 4);
  for (std::size_t i = 0; i < 4; ++i) CHECK(same_bits(run.gradients[i], expected.gradients[i]));
}

TEST_CASE("without a tape a stack has no dropout and needs no memory but scratch") {
  auto stack = toy_stack({true, true});
  const Matrix<double> x = random_matrix<double>(5, toy_features, 1);
  const ToyRows all{5, true}, last{2, false};
  Scratch scratch;
  const MatrixRef<double> y =
      stack.forward(all, last, nullptr, nullptr, scratch, [&](MatrixRef<double> in) { in = x; });
  CHECK(y.rows() == 2);
  Matrix<double> one(5, toy_features), two(2, toy_features);
  const ToyBlock first(toy_features, true, 10), second(toy_features, true, 11);
  first.forward(x, all, nullptr, one);
  second.forward(one, last, nullptr, two);
  CHECK(same_bits(y, two));
}
