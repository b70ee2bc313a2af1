#include <lora/models/common/weight_files.hpp>

#include <memory>

#include <lora/io/gguf/gguf_writer.hpp>

#include "models/common/model_files.hpp"
#include "support/catch.hpp"
#include "support/temporary_directory.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;
using models::WeightFiles;

TEST_CASE("a model's tensors are the same from safetensors and from a GGUF") {
  const Matrix<double> a = random_matrix<float>(2, 3, 1).cast<double>();
  ModelFiles files;
  files.add("a", a, {2, 3});
  io::GgufWriter writer;
  writer.add<double>("t", io::GgufType::F32, a);
  const TemporaryDirectory directory;
  writer.write(directory.path() / "f.gguf");
  WeightFiles plain(files.write());
  WeightFiles gguf(models::GgufWeights(
      std::make_shared<const io::GgufReader>(directory.path() / "f.gguf"), {{"a", {"t"}}}));
  CHECK(gguf.are_gguf());
  for (WeightFiles* each : {&plain, &gguf}) {
    CHECK(each->contains("a"));
    CHECK(!each->contains("b"));
    CHECK(each->shape("a") == io::Shape{2, 3});
    CHECK(same_bits(each->read<double>("a"), a));
    CHECK_THROWS_AS(each->shape("b"), FileError);
    each->release_pages();
  }
  CHECK(plain.in_place<double>("a") != nullptr);
  CHECK(gguf.in_place<float>("a") != nullptr);
  CHECK(plain.view("a") != nullptr);
  CHECK(plain.view("b") == nullptr);
  CHECK(gguf.view("a") == nullptr);
  CHECK(gguf.path().filename() == "f.gguf");
}
