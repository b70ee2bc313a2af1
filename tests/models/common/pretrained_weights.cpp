#include <lora/models/common/pretrained_weights.hpp>

#include <lora/frozen/block_weight.hpp>
#include <lora/frozen/dense_weight.hpp>
#include <lora/frozen/four_bit_weight.hpp>
#include <lora/frozen/int8_weight.hpp>
#include <lora/frozen/packed_weight.hpp>

#include "models/common/model_files.hpp"
#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/resident_bytes.hpp"
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

TEST_CASE("rows of a file are looked at in each type that a BlockWeight reads") {
  using Blocks = BlockWeight<double>;
  ModelFiles files;
  files.add("full", random_matrix<double>(3, 5, 1), {3, 5}, io::DType::F32);
  files.add("half", random_matrix<double>(3, 5, 2), {3, 5}, io::DType::F16);
  files.add("brain", random_matrix<double>(3, 5, 3), {3, 5}, io::DType::BF16);
  files.add("wide", random_matrix<double>(3, 5, 4), {3, 5});
  PretrainedWeights<double> weights(files.write());
  for (const char* name : {"full", "half", "brain"}) {
    CAPTURE(name);
    const auto rows = weights.frozen<Blocks>(name, 3, 5);
    CHECK(rows.bytes() == 0);
    CHECK(same_bits(rows.dense(), weights.copy(name, 3, 5)));
    // What lies (in, out) is turned, and no number changes.
    const auto turned = weights.frozen<Blocks>(name, 5, 3, Layout::column_major);
    CHECK(turned.format() == rows.format());
    CHECK(turned.bytes() > 0);
    CHECK(same_bits(turned.dense(), Matrix<double>(rows.dense().transpose())));
  }
  CHECK(weights.frozen<Blocks>("wide", 3, 5).format() == kernels::BlockFormat::F32);
}

TEST_CASE("codes of bitsandbytes lie (out, in), whatever the module's layout is") {
  PretrainedWeights<float> weights(std::filesystem::path(LORA_GOLDEN_DIR) / "quantised_model" /
                                   "nf4");
  const std::string name = "model.layers.0.mlp.down_proj.weight";
  const Matrix<float> numbers = weights.copy(name, 48, 56);
  CHECK(same_bits(weights.copy(name, 48, 56, Layout::column_major), numbers));
  const auto check = [&]<class Frozen>(const Frozen& weight) {
    CHECK(same_bits(weight.dense(), numbers));
  };
  for (const Layout layout : {Layout::row_major, Layout::column_major}) {
    check(weights.frozen<NF4Weight<float>>(name, 48, 56, layout));
    check(weights.frozen<BlockWeight<float>>(name, 48, 56, layout));
    check(weights.frozen<MappedWeight<float>>(name, 48, 56, layout));
    check(weights.frozen<PackedWeight<float>>(name, 48, 56, layout));
  }
  check_throws<FileError>([&] { static_cast<void>(weights.copy(name, 56, 48)); },
                          "is of shape (48, 56), expected (56, 48)");
}

TEST_CASE("a weight that its storage does not hold is named") {
  ModelFiles files;
  Matrix<double> large = random_matrix<double>(2, 4, 1);
  large(1, 2) = 1e6;
  files.add("a", large, {2, 4}, io::DType::F32);
  PretrainedWeights<float> weights(files.write());
  check_throws<ConfigError>(
      [&] { static_cast<void>(weights.frozen<Int8Weight<float>>("a", 2, 4)); },
      "tensor \"a\": Int8Weight: W(1, 2) = 1e+06");
}

TEST_CASE("a file is rounded to codes one tensor at a time") {
  constexpr Index side = 1024;
  ModelFiles files;
  for (const char* name : {"a", "b", "c", "d", "e", "f", "g", "h"})
    files.add(name, Matrix<double>::Random(side, side), {side, side}, io::DType::F32);
  PretrainedWeights<float> weights(files.write());
  std::vector<NF4Weight<float>> all;
  all.reserve(8);
  const ResidentBytes before = resident_bytes();
  const Allocations taken = allocations_of([&] {
    for (const char* name : {"a", "b", "c", "d", "e", "f", "g", "h"}) {
      all.push_back(weights.frozen<NF4Weight<float>>(name, side, side));
      weights.release_pages();
    }
  });
  const ResidentBytes after = resident_bytes();
  std::size_t bytes = 0;
  for (const auto& weight : all) bytes += weight.bytes();
  CHECK(bytes < 8 * side * side * 6 / 10);
  // The codes, once a byte each and once packed, and nothing of float, which takes four.
  CHECK(taken.bytes < bytes + 8 * side * side * 5 / 4);
  CHECK(after.of_files < before.of_files + (1U << 20));
}
