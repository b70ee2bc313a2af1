#include <lora/models/common/pretrained_weights.hpp>

#include <lora/frozen/dense_weight.hpp>
#include <lora/frozen/packed_weight.hpp>

#include "models/common/model_files.hpp"
#include "support/catch.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;
using models::PretrainedWeights;

TEST_CASE("weights of type T stay in the file, others are converted once") {
  ModelFiles files;
  files.add_linear("a", 3, 5);
  files.add("half.weight", random_matrix<double>(3, 5, 9), {3, 5}, io::DType::F32);
  PretrainedWeights<double> weights(files.write());
  CHECK(same_bits(weights.matrix("a.weight", 3, 5), files["a.weight"]));
  CHECK(weights.matrix("a.weight", 3, 5).data() == weights.matrix("a.weight", 3, 5).data());
  CHECK(same_bits(weights.matrix("half.weight", 3, 5),
                  files["half.weight"].cast<float>().cast<double>()));
  CHECK(same_bits(weights.vector("a.bias", 3).transpose(), files["a.bias"]));
  CHECK(same_bits(weights.copy("a.weight", 3, 5), files["a.weight"]));
}

TEST_CASE("a frozen weight is made of a file's in every storage") {
  ModelFiles files;
  files.add_linear("a", 3, 5);
  PretrainedWeights<double> weights(files.write());
  CHECK(
      same_bits(weights.frozen<DenseWeight<double>>("a.weight", 3, 5).dense(), files["a.weight"]));
  CHECK(
      same_bits(weights.frozen<PackedWeight<double>>("a.weight", 3, 5).dense(), files["a.weight"]));
  const auto mapped = weights.frozen<MappedWeight<double>>("a.weight", 3, 5);
  CHECK(same_bits(mapped.dense(), files["a.weight"]));
}

TEST_CASE("a tensor may have another prefix or an older name in the files") {
  ModelFiles files;
  files.add_norm("layer.Norm", 4);
  files.add("layer.Old.gamma", random_matrix<double>(1, 4, 1), {4});
  PretrainedWeights<double> weights(files.write());
  weights.replace_prefix("bert.", "");
  weights.also_known_as("Old.weight", "Old.gamma");
  weights.also_known_as("Norm.weight", "Norm.gamma");
  CHECK(weights.contains("bert.layer.Norm.weight"));
  CHECK(weights.contains("layer.Norm.weight"));
  CHECK(weights.contains("bert.layer.Old.weight"));
  CHECK(!weights.contains("bert.layer.Old.bias"));
  CHECK(
      same_bits(weights.vector("bert.layer.Old.weight", 4).transpose(), files["layer.Old.gamma"]));
}

TEST_CASE("a tensor that is missing or of another shape is refused by its name in the files") {
  ModelFiles files;
  files.add_linear("a", 3, 5);
  PretrainedWeights<double> weights(files.write());
  check_throws<FileError>([&] { static_cast<void>(weights.matrix("a.weight", 5, 3)); },
                          "\"a.weight\" is of shape (3, 5), expected (5, 3) by the model's config");
  check_throws<FileError>([&] { static_cast<void>(weights.vector("a.weight", 5)); },
                          "expected (5,)");
  check_throws<FileError>([&] { static_cast<void>(weights.copy("b.weight", 3, 5)); },
                          "tensor \"b.weight\" is missing");
}

TEST_CASE("a weight that lies (in, out) in the files is read in every storage") {
  ModelFiles files;
  files.add("c.weight", random_matrix<double>(5, 3, 1), {5, 3});
  PretrainedWeights<double> weights(files.write());
  const Matrix<double> expected = files["c.weight"].transpose();
  constexpr Layout layout = Layout::column_major;
  CHECK(same_bits(weights.copy("c.weight", 3, 5, layout), expected));
  CHECK(same_bits(weights.frozen<DenseWeight<double>>("c.weight", 3, 5, layout).dense(), expected));
  CHECK(
      same_bits(weights.frozen<PackedWeight<double>>("c.weight", 3, 5, layout).dense(), expected));
  CHECK(
      same_bits(weights.frozen<MappedWeight<double>>("c.weight", 3, 5, layout).dense(), expected));
  check_throws<FileError>(
      [&] { static_cast<void>(weights.frozen<DenseWeight<double>>("c.weight", 5, 3, layout)); },
      "is of shape (5, 3), expected (3, 5)");
}

TEST_CASE("an older name may lie in files without the prefix") {
  ModelFiles files;
  files.add("tokens.weight", random_matrix<double>(5, 3, 1), {5, 3});
  PretrainedWeights<double> weights(files.write());
  weights.replace_prefix("model.", "");
  weights.also_known_as("head.weight", "model.tokens.weight");
  CHECK(same_bits(weights.copy("head.weight", 5, 3), files["tokens.weight"]));
}
