#include <lora/models/common/safetensors_weights.hpp>

#include <string>

#include "models/common/model_files.hpp"
#include "support/catch.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::models;
using namespace lora::test;

namespace {

SafetensorsWeights golden(const std::string& name) {
  return SafetensorsWeights(
      io::ModelReader(std::filesystem::path(LORA_GOLDEN_DIR) / "quantised_model" / name));
}

const std::string coded_weight = "model.layers.0.mlp.down_proj.weight";

}  // namespace

TEST_CASE("a weight in codes has the shape and the numbers of what they stand for") {
  for (const std::string name : {"nf4", "nf4_nested", "fp4", "int8"}) {
    CAPTURE(name);
    SafetensorsWeights weights = golden(name);
    CHECK(weights.is_coded(coded_weight));
    CHECK(weights.shape(coded_weight) == io::Shape{48, 56});
    CHECK(weights.in_place<float>(coded_weight) == nullptr);
    CHECK(!weights.rows(coded_weight));
    CHECK(weights.four_bit(coded_weight).has_value() == (name != "int8"));
    CHECK(weights.int8(coded_weight).has_value() == (name == "int8"));
    const Matrix<float> numbers = weights.read<float>(coded_weight);
    CHECK(numbers.rows() == 48);
    CHECK(numbers.cwiseAbs().maxCoeff() > 0.3F);
    CHECK(!weights.is_coded("lm_head.weight"));
    CHECK(weights.rows("lm_head.weight")->format == kernels::BlockFormat::F32);
  }
}

TEST_CASE("rows are kept by their owner when the files are gone") {
  ModelFiles files;
  files.add("a", random_matrix<double>(3, 4, 1), {3, 4}, io::DType::BF16);
  files.add("b", random_matrix<double>(3, 4, 2), {3, 4});
  StoredRows rows;
  {
    SafetensorsWeights weights{io::ModelReader(files.write())};
    rows = weights.rows("a").value();
    CHECK(rows.bytes.data() == weights.view("a")->bytes.data());
    CHECK(!weights.rows("b"));
    CHECK(weights.in_place<double>("b") != nullptr);
  }
  CHECK(rows.format == kernels::BlockFormat::BF16);
  CHECK(rows.owner.use_count() == 1);
  const auto number =
      io::convert_number<double>(Eigen::bfloat16(static_cast<float>(files["a"](0, 0))));
  CHECK(kernels::float_of_bfloat16(kernels::load<std::uint16_t>(rows.bytes.data())) == number);
}

TEST_CASE("tensors of GPTQ and AWQ are refused by name") {
  for (const char* name : {"a.qweight", "a.qzeros"}) {
    ModelFiles files;
    files.add(name, random_matrix<double>(3, 4, 1), {3, 4});
    check_throws<FileError>([&] { SafetensorsWeights{io::ModelReader(files.write())}; },
                            message("model.safetensors: tensor \"", name, "\" is of GPTQ or AWQ"));
  }
}
