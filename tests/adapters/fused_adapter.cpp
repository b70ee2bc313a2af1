#include <lora/adapters/fused_adapter.hpp>

#include <lora/frozen/mapped_weight.hpp>
#include <lora/layers/lora_linear.hpp>

#include <vector>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/finite_difference.hpp"
#include "support/random_matrix.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

namespace {

using Slice = MappedWeight<double>;
using SliceGroup = LoRALinearGroup<double, Slice>;
constexpr Index slice_in = 5, slice_out = 4;

// q, k and v of one weight, as it lies; q and v with adapters. `w` is (3 slice_out, slice_in), or,
// as GPT-2's Conv1D has it, (slice_in, 3 slice_out).
SliceGroup slices(const Matrix<double>& w, const Vector<double>& bias, double dropout = 0) {
  const bool rows = w.cols() == slice_in;
  std::vector<LoRALinear<double, Slice>> parts;
  for (Index p = 0; p < 3; ++p) {
    const double* const at = w.data() + p * slice_out * (rows ? slice_in : 1);
    const Slice slice(at, slice_out, slice_in, rows ? Layout::row_major : Layout::column_major,
                      w.cols());
    const Vector<double> own = bias.segment(p * slice_out, slice_out);
    if (p == 1) {
      parts.emplace_back(slice, own);
    } else {
      parts.emplace_back(slice, LoRAConfig{.rank = 2 + p, .alpha = 3, .dropout = dropout},
                         static_cast<std::uint64_t>(p), own);
      parts.back().lora_B().value = random_matrix<double>(slice_out, 2 + p, 20);
    }
    parts.back().set_name("c_attn." + std::string(1, "qkv"[p]));
  }
  return SliceGroup(std::move(parts));
}

}  // namespace

TEST_CASE("slices of a fused weight have adapters of their own, over the weight as it lies") {
  const Matrix<double> w = random_matrix<double>(3 * slice_out, slice_in, 1), wt = w.transpose();
  const Vector<double> bias = random_matrix<double>(3 * slice_out, 1, 2).col(0);
  for (const Matrix<double>& stored : {w, wt}) {
    SliceGroup group = slices(stored, bias);
    CHECK(group.part(0).weight().bytes() == 0);
    Matrix<double> x = random_matrix<double>(7, slice_in, 3), y(7, 3 * slice_out), dx;
    const std::vector<MatrixRef<double>> outputs{
        y.leftCols(slice_out), y.middleCols(slice_out, slice_out), y.rightCols(slice_out)};
    const auto forward = [&](Tape<double>& tape) { group.forward(x, tape, outputs); };
    // y[:, slice] = x W^T + s x A^T B^T, the slices side by side in one matrix.
    Matrix<double> whole = w;
    for (const Index p : {0, 2}) {
      const auto& part = group.part(static_cast<std::size_t>(p));
      whole.middleRows(p * slice_out, slice_out) +=
          part.scaling() * part.lora_B().value * part.lora_A().value;
    }
    Tape<double> tape;
    forward(tape);
    const Matrix<double> expected = (x * whole.transpose()).rowwise() + bias.transpose();
    CHECK(largest_difference(y, expected) < 1e-13);
    const Matrix<double> dy = random_matrix<double>(7, 3 * slice_out, 4);
    const std::vector<ConstMatrixRef<double>> slices_of_dy{
        dy.leftCols(slice_out), dy.middleCols(slice_out, slice_out), dy.rightCols(slice_out)};
    group.backward(x, slices_of_dy, tape, dx);
    CHECK(largest_difference(dx, dy * whole) < 1e-13);
    const auto loss = [&] {
      Tape<double> fresh;
      forward(fresh);
      return (y.array() * dy.array()).sum();
    };
    CHECK(group.parameters().size() == 4);
    for (Parameter<double>* parameter : group.parameters())
      CHECK(relative_error(parameter->grad, finite_difference(parameter->value, loss)) < 1e-6);

    // The same as one adapter of the whole layer.
    LoRALinear<double, Slice> fused(Slice(w.data(), 3 * slice_out, slice_in), {.rank = 1}, 1, bias);
    fused.replace_adapter(fused_adapter(group));
    CHECK(fused.config().rank == 6);
    CHECK(fused.scaling() == 1);
    Matrix<double> y_fused;
    fused.forward(x, y_fused);
    CHECK(largest_difference(y_fused, expected) < 1e-13);
    CHECK(fused.lora_B().value.middleRows(slice_out, slice_out).isZero(0));
  }
}

TEST_CASE("only sums of low rank are fused") {
  const Matrix<double> w = random_matrix<double>(3 * slice_out, slice_in, 1);
  SliceGroup group = slices(w, Vector<double>::Zero(3 * slice_out));
  group.part(2).set_scale(0.5);
  const LoRAAdapter<double> half = fused_adapter(group);
  CHECK(largest_difference(Matrix<double>(half.b().value.bottomRightCorner(slice_out, 4)),
                           Matrix<double>(0.5 * 3 / 4 * group.part(2).lora_B().value)) < 1e-15);
  group.part(2).add_adapter("lengths", {.rank = 1, .use_dora = true}, 1);
  group.part(2).set_adapter("lengths");
  check_throws<ConfigError>([&] { static_cast<void>(fused_adapter(group)); },
                            "c_attn.v (fused_adapter): use_dora is set");
  group.part(2).add_adapter("biased", {.rank = 1, .lora_bias = true}, 1);
  group.part(2).set_adapter("biased");
  check_throws<ConfigError>([&] { static_cast<void>(fused_adapter(group)); },
                            "c_attn.v (fused_adapter): lora_bias is set");
  for (const std::size_t p : {0U, 2U}) group.part(p).unset_adapter();
  check_throws<ConfigError>([&] { static_cast<void>(fused_adapter(group)); },
                            "no part has an adapter");
}
