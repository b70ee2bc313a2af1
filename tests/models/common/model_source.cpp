#include <lora/models/common/model_source.hpp>

#include "models/common/model_files.hpp"
#include "support/catch.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

namespace {

struct OneLinearConfig {
  double initializer_range = 0.5;
};

}  // namespace

TEST_CASE("a source opens a model's files and plans its modules, whatever the family") {
  ModelFiles files;
  files.add_linear("a", 3, 2);
  const models::ModelSource<double, OneLinearConfig> source(
      files.write(), OneLinearConfig{}, linear_outline({"a"}), models::FullTuning{});
  CHECK(source.plan["a"].role == models::ModuleRole::trained);
  auto builder = source.builder(3);
  CHECK(builder.seed == 3);
  CHECK(builder.initializer_range == 0.5);
  CHECK(same_bits(builder.weights.copy("a.weight", 3, 2), files["a.weight"]));
  const TemporaryDirectory empty;
  check_throws<FileError>(
      [&] {
        const models::ModelSource<double, OneLinearConfig> none(
            empty.path(), OneLinearConfig{}, linear_outline({"a"}), models::FullTuning{});
      },
      "model.safetensors");
}
