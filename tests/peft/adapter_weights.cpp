#include <lora/peft/adapter_weights.hpp>

#include <lora/io/safetensors/safetensors_writer.hpp>

#include "support/random_matrix.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::io;
using namespace lora::peft;
using namespace lora::test;

TEST_CASE("tensors are known by the names that they have in the base model") {
  const TemporaryDirectory directory;
  const Matrix<float> a = random_matrix<float>(2, 12, 1);
  write_safetensors(directory / adapter_weights_file,
                    {make_tensor("base_model.model.q.lora_A.default.weight", a),
                     make_tensor("base_model.model.conv.lora_A.weight", a, Shape{2, 3, 2, 2}),
                     make_tensor("stray\n", a)});
  AdapterWeights weights(directory.path());
  CHECK(weights.names() == std::vector<std::string>{"conv.lora_A.weight", "q.lora_A.weight"});
  CHECK(weights.contains("q.lora_A.weight"));
  CHECK(weights.read<float>("q.lora_A.weight", {2, 12}, false) == a);
  CHECK(weights.read<double>("conv.lora_A.weight", {2, 3, 2, 2}, false) == a.cast<double>());
  check_throws<FileError>(
      [&] {
        static_cast<void>(weights.read<float>("conv.lora_A.weight", {2, 12}, false));
      },
      "is of shape (2, 3, 2, 2), expected (2, 12)");
  check_throws<FileError>([&] { static_cast<void>(weights.shape("v.lora_A.weight")); },
                          "tensor \"base_model.model.v.lora_A.weight\" is missing; the file has "
                          "\"stray\\n\"");
  check_throws<FileError>(
      [&] { weights.require_all_used({}); },
      "tensor \"stray\\n\" has no place among the layers and parameters that are "
      "loaded, whose keys begin with base_model.model.");
}

TEST_CASE("the base of an adapted head may lie beside its adapter") {
  const TemporaryDirectory directory;
  const Matrix<float> base = random_matrix<float>(2, 3, 1);
  write_safetensors(directory / adapter_weights_file,
                    {make_tensor("base_model.model.head.base_layer.weight", base)});
  const AdapterWeights weights(directory.path());
  const SafetensorsReader file(directory / adapter_weights_file);
  const TensorView* view = &file.tensor("base_model.model.head.base_layer.weight");
  std::string asked;
  CHECK_NOTHROW(weights.require_all_used([&](const std::string& name) {
    asked = name;
    return view;
  }));
  CHECK(asked == "head.weight");
  check_throws<FileError>([&] { weights.require_all_used({}); }, "has no place");
}
