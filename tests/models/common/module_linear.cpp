#include <lora/models/common/module_linear.hpp>

#include "models/common/model_files.hpp"
#include "support/catch.hpp"
#include "support/naive_lora.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;
using models::ModelParameters;
using models::ModuleLinear;

namespace {

using DenseModule = ModuleLinear<double, DenseWeight<double>>;

ModelFiles linear_files(bool bias = true) {
  ModelFiles files;
  files.add_linear("a", 6, 4, bias);
  return files;
}

ModelParameters<double> parameters_of_module(DenseModule& module) {
  ModelParameters<double> list;
  module.list(list);
  return list;
}

}  // namespace

TEST_CASE("a frozen module computes its weight, trains nothing and needs no input in backward") {
  constexpr Index out = 6, in = 4, n = 5;
  const ModelFiles files = linear_files();
  Workbench bench(files, models::HeadOnly{}, linear_outline({"a"}));
  DenseModule module(bench.builder, "a", {out, in});
  const Matrix<double> x = random_matrix<double>(n, in, 1), dy = random_matrix<double>(n, out, 2);
  Matrix<double> y, trained, dx;
  module.forward(x, nullptr, y);
  CHECK(largest_difference(
            y, naive_lora<double>(x, files["a.weight"], files["a.bias"], Matrix<double>(0, in),
                                  Matrix<double>(out, 0), 1)) <= Tolerance<double>(in).value);
  Tape<double> tape;
  module.forward(x, &tape, trained);
  CHECK(same_bits(trained, y));
  CHECK(!module.needs_input());
  const Matrix<double> unseen = Matrix<double>::Constant(n, in, std::nan(""));
  module.backward(unseen, dy, tape, GradientTarget<double>::own(), dx);
  CHECK(largest_difference(dx, dy * files["a.weight"]) <= Tolerance<double>(out).value);
  CHECK(tape.empty());
  const auto list = parameters_of_module(module);
  CHECK(list.trained.size() == 0);
  CHECK(list.slots.empty());
  CHECK(list.total == out * in + out);
}

TEST_CASE("an adapted module has its adapter, and stores nothing whole") {
  constexpr Index out = 6, in = 4, n = 5;
  const ModelFiles files = linear_files();
  Workbench bench(files, lora_of({"a"}), linear_outline({"a"}));
  DenseModule module(bench.builder, "a", {out, in});
  CHECK(module.needs_input());
  auto list = parameters_of_module(module);
  REQUIRE(list.slots.size() == 1);
  CHECK(list.slots[0].name() == "a");
  CHECK(list.trained.size() == 2);
  CHECK(list.stored.size() == 0);
  CHECK(list.total == out * in + out + 2 * (out + in));
  const Matrix<double> x = random_matrix<double>(n, in, 1);
  Matrix<double> base, adapted, off;
  module.forward(x, nullptr, base);
  list.trained[1]->value = random_matrix<double>(out, 2, 3);
  module.forward(x, nullptr, adapted);
  CHECK(largest_difference(adapted, base) > 1e-3);
  module.for_each_adapted([](auto& layer) { layer.disable_adapter(); });
  module.forward(x, nullptr, off);
  CHECK(same_bits(off, base));
}

TEST_CASE("a module that trains as a whole has the file's numbers, or where it may be new others") {
  constexpr Index out = 6, in = 4;
  const ModelFiles files = linear_files();
  Workbench bench(files, models::FullTuning{}, linear_outline({"a", "head"}));
  DenseModule module(bench.builder, "a", {.out = out, .in = in, .may_be_new = true});
  auto list = parameters_of_module(module);
  REQUIRE(list.trained.size() == 2);
  CHECK(list.stored.size() == 2);
  CHECK(list.trained[0]->name == "a.weight");
  CHECK(same_bits(list.trained[0]->value, files["a.weight"]));
  CHECK(same_bits(list.trained[1]->value, files["a.bias"]));
  CHECK(list.total == out * in + out);

  DenseModule head(bench.builder, "head", {.out = 100, .in = 50, .may_be_new = true});
  const auto fresh = parameters_of_module(head);
  CHECK(fresh.trained[1]->value.isZero());
  // 5000 normal numbers of standard deviation 0.02, the builder's initializer_range.
  CHECK(std::sqrt(fresh.trained[0]->value.squaredNorm() / 5000) == Approx(0.02).epsilon(0.05));
  check_throws<FileError>(
      [&] {
        DenseModule(bench.builder, "head", {out, in});
      },
      "tensor \"head.weight\" is missing");
}

TEST_CASE("bias = \"all\" trains the bias of a frozen module") {
  constexpr Index out = 6, in = 4, n = 5;
  const ModelFiles files = [] {
    ModelFiles both = linear_files();
    both.add_linear("b", out, in);
    return both;
  }();
  peft::PeftConfig config = lora_of({"b"});
  config.bias = "all";
  Workbench bench(files, config, linear_outline({"a", "b"}));
  DenseModule module(bench.builder, "a", {out, in});
  auto list = parameters_of_module(module);
  REQUIRE(list.trained.size() == 1);
  CHECK(list.stored.size() == 1);
  CHECK(list.trained[0]->name == "a.bias");
  const Matrix<double> x = random_matrix<double>(n, in, 1), dy = random_matrix<double>(n, out, 2);
  Matrix<double> y;
  Tape<double> tape;
  module.forward(x, &tape, y);
  module.backward(x, dy, tape, GradientTarget<double>::own());
  CHECK(largest_difference(list.trained[0]->grad, dy.colwise().sum()) <=
        Tolerance<double>(n).value);
}

TEST_CASE("no rank makes an adapter many times larger than its layer") {
  constexpr Index out = 6, in = 4;
  CHECK(models::rank_limit(8, 4) == 1024);
  CHECK(models::rank_limit(4096, 1024) == 4096);
  const ModelFiles files = linear_files();
  Workbench bench(files, lora_of({"a"}, 1025), linear_outline({"a"}));
  check_throws<ConfigError>(
      [&] {
        DenseModule(bench.builder, "a", {out, in});
      },
      "the rank of \"a\" is 1025, expected at most 1024");
}
