#include <lora/peft/adapter_values.hpp>

#include <lora/layers/weight_start.hpp>
#include <lora/peft/adapter_writer.hpp>

#include "peft/golden_net.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::peft;
using namespace lora::test;

TEST_CASE("an adapter is read as values, without a layer") {
  const auto adapter = read_adapter<double>(GoldenNet<double>::adapters() / "patterns");
  REQUIRE(adapter.modules.size() == 2);
  CHECK(adapter.others.empty());
  const LoRAFactors<double>& wide = adapter.modules.at("encoder.wide");
  CHECK(wide.config == LoRAConfig{.rank = 2, .alpha = 5});
  CHECK(adapter.modules.at("encoder.narrow").config == LoRAConfig{.rank = 3, .alpha = 6});
  CHECK(wide.a.shape == io::Shape{2, 12});

  // W + s B A computes what PEFT computed.
  GoldenNet<double> net;
  const io::SafetensorsReader outputs(GoldenNet<double>::adapters() / "outputs.safetensors");
  const io::SafetensorsReader base(GoldenNet<double>::adapters() / "base.safetensors");
  const auto weight = [&](const std::string& name) {
    return Matrix<double>(base.read<double>(name + ".weight") + adapter.modules.at(name).delta());
  };
  const auto x = outputs.read<double>("x");
  Matrix<double> h = x * weight("encoder.wide").transpose();
  h.rowwise() += base.read<double>("encoder.wide.bias").row(0);
  h = h.cwiseMax(0.0).eval() * weight("encoder.narrow").transpose();
  h = h.cwiseMax(0.0).eval();
  Matrix<double> y;
  net.classifier.forward(h, y);
  CHECK(largest_difference(y, outputs.read<double>("patterns")) < 1e-5);
}

TEST_CASE("factors of a changed base are read only where that is asked for") {
  const TemporaryDirectory directory;
  LoRALinear<float> layer(DenseWeight<float>(Matrix<float>::Identity(4, 6)), {.rank = 2}, 1);
  layer.set_name("fc");
  start_olora(layer);
  save_adapter(directory.path(), layer);
  check_throws<FileError>([&] { static_cast<void>(read_adapter<float>(directory.path())); },
                          "the adapter began with olora, so it belongs to a changed base");
  const auto adapter = read_adapter<float>(directory.path(), {.allow_changed_base = true});
  CHECK(same_bits(adapter.modules.at("fc").b.value, layer.lora_B().value));
  CHECK(adapter.modules.at("fc").config.init == LoRAInit::olora);
}

TEST_CASE("what is stored beside the factors comes with its shape") {
  const auto adapter = read_adapter<float>(GoldenNet<float>::adapters() / "modules_to_save");
  CHECK(adapter.modules.size() == 2);
  REQUIRE(adapter.others.size() == 2);
  CHECK(adapter.others.at("classifier.bias").shape == io::Shape{3});
  CHECK(adapter.others.at("classifier.weight").shape == io::Shape{3, 6});
  CHECK(adapter.others.at("classifier.weight").value.rows() == 3);
}

TEST_CASE("factors that do not belong together are refused by their module") {
  const TemporaryDirectory directory;
  io::write_file(directory / adapter_config_file, R"({"peft_type": "LORA", "r": 2})");
  const auto refused = [&](std::vector<io::Tensor> tensors, const std::string& why) {
    io::write_safetensors(directory / adapter_weights_file, std::move(tensors));
    check_throws<FileError>([&] { static_cast<void>(read_adapter<float>(directory.path())); }, why);
  };
  const auto tensor = [](const std::string& suffix, Index rows, Index cols) {
    return io::make_tensor(adapter_key("q" + suffix), Matrix<float>::Ones(rows, cols));
  };
  const std::string a = ".lora_A.weight", b = ".lora_B.weight";
  refused({tensor(a, 2, 3)}, "q.lora_B.weight\" is missing");
  refused({tensor(b, 3, 2)}, "q.lora_A.weight\" is missing");
  refused({tensor(a, 3, 3), tensor(b, 4, 3)},
          "the factors of \"q\" are of shapes (3, 3) and (4, 3), expected rank 2");
  refused({tensor(a, 2, 3), tensor(b, 4, 1)}, "expected rank 2");
  io::Tensor stray = tensor(a, 1, 1);
  stray.name = "q.lora_A.weight";
  refused({tensor(a, 2, 3), tensor(b, 4, 2), stray}, "tensor \"q.lora_A.weight\" has no place");
}

TEST_CASE(
    "an embedding's and a convolution's factors are read, of which the latter have no delta") {
  const TemporaryDirectory directory;
  io::write_file(directory / adapter_config_file,
                 R"({"peft_type": "LORA", "r": 2, "lora_alpha": 4})");
  const auto tensor = [](const std::string& name, const io::Shape& shape) {
    const MatrixShape size(shape);
    return io::make_tensor(adapter_key(name), Matrix<float>::Ones(size.rows, size.cols), shape);
  };
  io::write_safetensors(
      directory / adapter_weights_file,
      {tensor("embed.lora_embedding_A", {2, 9}), tensor("embed.lora_embedding_B", {4, 2}),
       tensor("conv.lora_A.weight", {2, 3, 5, 5}), tensor("conv.lora_B.weight", {8, 2, 1, 1})});
  const auto adapter = read_adapter<float>(directory.path());
  CHECK(adapter.modules.at("embed").delta() == Matrix<float>::Constant(4, 9, 4.0F));
  CHECK(adapter.modules.at("conv").a.shape == io::Shape{2, 3, 5, 5});
  CHECK(adapter.modules.at("conv").a.value.cols() == 75);
  CHECK_THROWS_AS(adapter.modules.at("conv").delta(), ShapeError);
}
