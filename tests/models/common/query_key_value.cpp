#include <lora/models/common/query_key_value.hpp>

#include "models/common/model_files.hpp"
#include "support/catch.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;
using models::ModelParameters;

namespace {

using DenseQueryKeyValue = models::QueryKeyValue<double, DenseWeight<double>>;

struct ThreeLinears {
  static constexpr Index in = 6;
  static constexpr std::array<Index, 3> out{8, 4,
                                            4};  // fewer heads of keys and values, as in Llama

  ThreeLinears(const models::Tuning& tuning, bool apart)
      : bench(written(), tuning, linear_outline({"q", "k", "v"})),
        module(bench.builder, {.names = {"q", "k", "v"},
                               .in_features = in,
                               .out_features = out,
                               .queries_apart = apart}) {}

  const ModelFiles& written() {
    for (std::size_t p = 0; p < 3; ++p) files.add_linear(names[p], out[p], in);
    return files;
  }

  static constexpr std::array<const char*, 3> names{"q", "k", "v"};
  ModelFiles files;
  Workbench bench;
  DenseQueryKeyValue module;
};

// Compares outputs and dx with the base's, which an adapter that is new does not change.
void check_three(const models::Tuning& tuning, bool apart, std::size_t trained) {
  CAPTURE(apart, trained);
  constexpr Index in = ThreeLinears::in, n = 5, queries = 2;
  constexpr auto out = ThreeLinears::out;
  ThreeLinears made(tuning, apart);
  const Matrix<double> x = random_matrix<double>(n, in, 1);
  const Matrix<double> of_queries = random_matrix<double>(queries, in, 2);
  const Matrix<double>& xq = apart ? of_queries : x;
  std::array<Matrix<double>, 3> y, expected, dy;
  for (std::size_t p = 0; p < 3; ++p) {
    const std::string name = ThreeLinears::names[p];
    const Matrix<double>& from = p == 0 ? xq : x;
    expected[p] = from * made.files[name + ".weight"].transpose();
    expected[p].rowwise() += made.files[name + ".bias"].row(0);
    y[p].resize(from.rows(), out[p]);
    dy[p] = random_matrix<double>(from.rows(), out[p], 3 + p);
  }
  made.module.forward(xq, x, nullptr, y[0], y[1], y[2]);
  for (std::size_t p = 0; p < 3; ++p)
    CHECK(largest_difference(y[p], expected[p]) <= Tolerance<double>(in, 2).value);
  Tape<double> tape;
  made.module.forward(xq, x, &tape, y[0], y[1], y[2]);
  for (std::size_t p = 0; p < 3; ++p)
    CHECK(largest_difference(y[p], expected[p]) <= Tolerance<double>(in, 2).value);

  Matrix<double> dxq(xq.rows(), in), dx(n, in);
  Matrix<double> of_rest = dy[1] * made.files["k.weight"] + dy[2] * made.files["v.weight"];
  const Matrix<double> of_query = dy[0] * made.files["q.weight"];
  if (!apart) of_rest += of_query;
  made.module.backward(apart, xq, x, dy[0], dy[1], dy[2], tape, GradientTarget<double>::own(), dxq,
                       dx);
  CHECK(largest_difference(dx, of_rest) <= Tolerance<double>(16, 2).value);
  if (apart) CHECK(largest_difference(dxq, of_query) <= Tolerance<double>(8, 2).value);
  CHECK(tape.empty());

  ModelParameters<double> list;
  made.module.list(list);
  CHECK(list.trained.size() == trained);
}

}  // namespace

TEST_CASE("query, key and value are three layers of their own sizes, whatever trains of them") {
  peft::PeftConfig saving = lora_of({"q"});
  saving.modules_to_save = {"v"};
  for (const bool apart : {false, true}) {
    check_three(models::HeadOnly{}, apart, 0);
    check_three(lora_of({"q", "v"}), apart, 4);
    check_three(models::FullTuning{}, apart, 6);
    check_three(saving, apart, 4);
  }
}

TEST_CASE("adapters of query, key and value are switched together") {
  ThreeLinears made(lora_of({"q", "v"}), false);
  const Matrix<double> x = random_matrix<double>(5, ThreeLinears::in, 1);
  std::array<Matrix<double>, 3> base, on, off;
  for (auto* all : {&base, &on, &off})
    for (std::size_t p = 0; p < 3; ++p) (*all)[p].resize(5, ThreeLinears::out[p]);
  made.module.forward(x, x, nullptr, base[0], base[1], base[2]);
  ModelParameters<double> list;
  made.module.list(list);
  for (auto& slot : list.slots) slot.parameters()[1]->value.setOnes();
  made.module.forward(x, x, nullptr, on[0], on[1], on[2]);
  made.module.for_each_adapted([](auto& layer) { layer.disable_adapter(); });
  made.module.forward(x, x, nullptr, off[0], off[1], off[2]);
  CHECK(largest_difference(on[0], base[0]) > 1e-3);
  CHECK(largest_difference(on[2], base[2]) > 1e-3);
  for (std::size_t p = 0; p < 3; ++p) CHECK(same_bits(off[p], base[p]));
}
