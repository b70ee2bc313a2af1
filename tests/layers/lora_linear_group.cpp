#include <lora/frozen/packed_weight.hpp>
#include <lora/layers/lora_linear_group.hpp>

#include "contracts/lora_layer.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::test;

namespace {

// Three parts of different widths, ranks and settings, B not zero.
template <class T, class Frozen>
LoRALinearGroup<T, Frozen> make_merged(Index in, double dropout, Index scale = 1,
                                       double last_dropout = 0) {
  std::vector<LoRALinear<T, Frozen>> parts;
  const Index outs[] = {40 * scale, 13 * scale, 50 * scale}, ranks[] = {4, 1, 9};
  for (std::size_t p = 0; p < 3; ++p) {
    const auto seed = static_cast<std::uint64_t>(p);
    const Vector<T> bias = p == 1 ? Vector<T>(random_matrix<T>(outs[p], 1, 7 + seed)) : Vector<T>();
    parts.emplace_back(Frozen(random_matrix<T>(outs[p], in, 10 + seed)),
                       LoRAConfig{.rank = ranks[p],
                                  .alpha = 3.0,
                                  .dropout = p == 2 ? last_dropout : dropout,
                                  .train_bias = p == 1},
                       seed, bias);
    parts.back().set_name(message("part", p));
    parts.back().lora_B().value = random_matrix<T>(outs[p], ranks[p], 20 + seed);
  }
  return LoRALinearGroup<T, Frozen>(std::move(parts));
}

// Shows the parts' outputs side by side as one, so that the contract of a layer can be checked.
template <class Group>
class SideBySide {
 public:
  using Scalar = typename Group::Scalar;
  using T = Scalar;

  explicit SideBySide(Group group) : group_(std::move(group)) {
    for (std::size_t p = 0; p < size(); ++p) out_ += group_.part(p).out_features();
  }
  [[nodiscard]] std::size_t size() const { return group_.size(); }
  [[nodiscard]] auto& part(std::size_t p) { return group_.part(p); }
  [[nodiscard]] const auto& part(std::size_t p) const { return group_.part(p); }
  [[nodiscard]] Index in_features() const { return group_.in_features(); }
  [[nodiscard]] Index out_features() const { return out_; }
  [[nodiscard]] ParameterList<T> parameters() { return group_.parameters(); }
  [[nodiscard]] const std::string& name() const { return part(0).name(); }
  void set_name(const std::string& name) {
    for (std::size_t p = 0; p < size(); ++p)
      part(p).set_name(p == 0 ? name : message(name, ".", p));
  }
  void forward(ConstMatrixRef<T> x, Output<T> y) const { group_.forward(x, split(x, y)); }
  void forward(ConstMatrixRef<T> x, Tape<T>& tape, Output<T> y) const {
    group_.forward(x, tape, split(x, y));
  }
  void backward(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, Tape<T>& tape, Output<T> dx) {
    group_.backward(x, split(dy), tape, dx);
  }
  void backward(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, Tape<T>& tape) {
    group_.backward(x, split(dy), tape);
  }
  void backward(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, Tape<T>& tape,
                GradientTarget<T> gradients, Output<T> dx) const {
    group_.backward(x, split(dy), tape, gradients, dx);
  }
  void backward(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, Tape<T>& tape,
                GradientTarget<T> gradients) const {
    group_.backward(x, split(dy), tape, gradients);
  }

 private:
  // The columns of each part; what is too wide goes to the last, which refuses it.
  template <class List, class Ref>
  [[nodiscard]] List columns(Ref all) const {
    List list;
    Index column = 0;
    for (std::size_t p = 0; p < size(); ++p) {
      const Index width = p + 1 == size() ? all.cols() - column : part(p).out_features();
      list.add(Ref(all.middleCols(column, width)));
      column += width;
    }
    return list;
  }
  [[nodiscard]] InputList<T> split(ConstMatrixRef<T> dy) const { return columns<InputList<T>>(dy); }
  [[nodiscard]] OutputList<T> split(ConstMatrixRef<T> x, const Output<T>& y) const {
    require_cols(x, in_features(), "SideBySide", "x", "in_features");
    return columns<OutputList<T>>(y.shaped(x.rows(), out_, "SideBySide", "y", {x}));
  }

  Group group_;
  Index out_ = 0;
};

}  // namespace

TEMPLATE_TEST_CASE("LoRALinearGroup's gradients agree with finite differences", "",
                   DenseWeight<double>, PackedWeight<double>) {
  for (const double dropout : {0.0, 0.3})
    for (const Index n : {Index{1}, Index{3}, Index{20}}) {
      CAPTURE(dropout, n);
      SideBySide layer(make_merged<double, TestType>(12, dropout));
      check_gradients(layer, n, 5);
    }
}

TEMPLATE_TEST_CASE("LoRALinearGroup keeps the contract of a LoRA layer", "[threads]",
                   PackedWeight<float>, DenseWeight<double>) {
  using T = typename TestType::Scalar;
  // One dropout for all, as a file of PEFT's has.
  check_lora_layer(SideBySide(make_merged<T, TestType>(130, 0.2, 1, 0.2)), 30);
  SideBySide large(make_merged<T, TestType>(300, 0.2, 7));
  check_thread_independence(large, 150);
}

TEST_CASE("LoRALinearGroup computes what its layers do alone") {
  auto merged = make_merged<float, DenseWeight<float>>(70, 0);
  for (const Index n : {Index{1}, Index{9}, Index{40}}) {
    CAPTURE(n);
    const Matrix<float> x = random_matrix<float>(n, 70, 1);
    std::vector<Matrix<float>> y(3), dy(3);
    Tape<float> tape;
    Matrix<float> dx, alone, part_dx, sum = Matrix<float>::Zero(n, 70);
    merged.forward(x, tape, y);
    for (std::size_t p = 0; p < 3; ++p) dy[p] = random_matrix<float>(n, y[p].cols(), 30 + p);
    zero_grad(merged.parameters());
    merged.backward(x, dy, tape, dx);
    for (std::size_t p = 0; p < 3; ++p) {
      auto& part = merged.part(p);
      const Matrix<float> da = part.lora_A().grad, db = part.lora_B().grad;
      part.forward(x, alone);
      CHECK(same_bits(alone, y[p]));
      zero_grad(part.parameters());
      part.forward(x, tape, alone);
      part.backward(x, dy[p], tape, part_dx);
      sum += part_dx;
      CHECK(same_bits(part.lora_A().grad, da));
      CHECK(same_bits(part.lora_B().grad, db));
    }
    CHECK(largest_difference(dx, sum) <= Tolerance<float>(103, 10).value);
  }
}

TEST_CASE("LoRALinearGroup refuses parts that are not as they were in forward") {
  auto group = make_merged<float, DenseWeight<float>>(12, 0);
  // Equal ranks, so that nothing but the set tells which part xa belongs to.
  for (std::size_t p = 0; p < 3; ++p)
    group.part(p).replace_adapter({.rank = 2}, random_matrix<float>(2, 12, p),
                                  random_matrix<float>(group.part(p).out_features(), 2, 5 + p));
  Matrix<float> x = random_matrix<float>(6, 12, 1), dx;
  std::vector<Matrix<float>> y(3), dy(3);
  Tape<float> tape;
  group.part(1).disable_adapter();
  group.forward(x, tape, y);
  for (std::size_t p = 0; p < 3; ++p) dy[p] = random_matrix<float>(6, y[p].cols(), 30 + p);
  const auto refused = [&](const std::string& said) {
    check_throws<StateError>([&] { group.backward(x, dy, tape, dx); }, said);
    for (const Parameter<float>* parameter : group.parameters()) CHECK(parameter->grad.isZero(0));
  };
  group.part(0).disable_adapter();
  group.part(1).enable_adapter();
  refused("part0 (LoRALinearGroup::backward): the adapter \"default\" was switched off");
  group.part(0).enable_adapter();
  refused("part1 (LoRALinearGroup::backward): the adapter \"default\" was switched on");
  group.part(1).disable_adapter();
  group.part(2).set_scale(5);
  refused("part2 (LoRALinearGroup::backward): the scaling was 2 and is 10");
  group.part(2).set_scale(1);
  x(0, 0) += 1;
  refused("part0 (LoRALinearGroup::backward): the elements of x");
  x(0, 0) -= 1;
  group.part(2).merge();
  refused("part2 (LoRALinearGroup::backward): the adapter is merged");
  group.part(2).unmerge();
}

TEST_CASE("LoRALinearGroup writes to memory of the caller's, and refuses outputs that overlap") {
  const auto group = make_merged<float, DenseWeight<float>>(12, 0);
  const Matrix<float> x = random_matrix<float>(6, 12, 1);
  std::vector<Matrix<float>> y(3);
  group.forward(x, y);
  Matrix<float> wide = Matrix<float>::Zero(6, 103);
  const auto views = [&](Index first, Index second, Index third) {
    return std::vector<MatrixRef<float>>{wide.middleCols(first, 40), wide.middleCols(second, 13),
                                         wide.middleCols(third, 50)};
  };
  group.forward(x, views(0, 40, 53));
  for (std::size_t p = 0; p < 3; ++p) CHECK(same_bits(views(0, 40, 53)[p], y[p]));
  check_throws<ShapeError>([&] { group.forward(x, views(0, 39, 53)); },
                           "part1 (LoRALinearGroup::forward): y[1] overlaps y[0]");
  Tape<float> tape;
  CHECK_THROWS_AS(group.forward(x, tape, views(0, 40, 52)), ShapeError);
  CHECK(tape.empty());
  y[1] = x;
  check_throws<ShapeError>([&] { group.forward(y[1], y); },
                           "part1 (LoRALinearGroup::forward): y[1] overlaps an input");
  CHECK(same_bits(y[1], x));

  auto trained = group;
  std::vector<Matrix<float>> z(3), dy(3);
  trained.forward(x, tape, z);
  for (std::size_t p = 0; p < 3; ++p) dy[p] = random_matrix<float>(6, z[p].cols(), 30 + p);
  check_throws<ShapeError>([&] { trained.backward(x, dy, tape, dy[2]); },
                           "part0 (LoRALinearGroup::backward): dx overlaps an input");
  dy[1].resize(6, 12);
  check_throws<ShapeError>([&] { trained.backward(x, dy, tape); },
                           "part1 (LoRALinearGroup::backward): dy[1] is (6, 12), expected (N = 6, "
                           "out_features = 13)");
  CHECK_FALSE(tape.empty());
}

TEST_CASE("LoRALinearGroup adds to gradients outside of its parts") {
  auto group = make_merged<float, DenseWeight<float>>(12, 0.3);
  const Matrix<float> x = random_matrix<float>(6, 12, 1);
  std::vector<Matrix<float>> y(3), dy(3);
  Tape<float> tape;
  const auto state = tape.random_state();
  group.forward(x, tape, y);
  for (std::size_t p = 0; p < 3; ++p) dy[p] = random_matrix<float>(6, y[p].cols(), 30 + p);
  Gradients<float> outside(group.parameters());
  Matrix<float> dx, own_dx;
  std::as_const(group).backward(x, dy, tape, outside, dx);
  for (const Parameter<float>* parameter : group.parameters()) CHECK(parameter->grad.isZero(0));
  tape.set_random_state(state);
  group.forward(x, tape, y);
  group.backward(x, dy, tape, own_dx);
  CHECK(same_bits(dx, own_dx));
  for (const Parameter<float>* parameter : group.parameters())
    CHECK(same_bits(parameter->grad, outside.of(*parameter)));
}

TEST_CASE("parts of LoRALinearGroup are switched and merged by themselves") {
  auto merged = make_merged<float, DenseWeight<float>>(30, 0.1);
  const Matrix<float> x = random_matrix<float>(20, 30, 1);
  std::vector<Matrix<float>> before(3), after(3);
  merged.part(1).disable_adapter();
  merged.forward(x, before);
  merged.part(0).merge();
  merged.forward(x, after);
  for (std::size_t p = 0; p < 3; ++p)
    CHECK(largest_difference(before[p], after[p]) <= Tolerance<float>(40, 10).value);
  Tape<float> tape;
  CHECK_THROWS_AS(merged.forward(x, tape, after), StateError);
  CHECK(tape.empty());
}

TEST_CASE("LoRALinearGroup refuses parts that do not share their input") {
  std::vector<LoRALinear<float>> parts;
  CHECK_THROWS_AS(LoRALinearGroup<float>(parts), ShapeError);
  for (const Index in : {4, 5})
    parts.emplace_back(DenseWeight<float>(Matrix<float>::Zero(3, in)), LoRAConfig{.rank = 1}, 1);
  CHECK_THROWS_AS(LoRALinearGroup<float>(parts), ShapeError);
  parts.pop_back();
  LoRALinearGroup<float> one(parts);
  std::vector<Matrix<float>> two(2);
  const Matrix<float> x = Matrix<float>::Zero(1, 4);
  CHECK_THROWS_AS(one.forward(x, two), ShapeError);
}
