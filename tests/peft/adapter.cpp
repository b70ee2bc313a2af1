#include <lora/peft/adapter.hpp>

#include <lora/layers/lora_conv2d.hpp>

#include "peft/golden_net.hpp"
#include "support/catch.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"
#include "support/whole_file.hpp"

using namespace lora;
using namespace lora::peft;
using namespace lora::test;

TEST_CASE("one include saves, loads and reads adapters") {
  const TemporaryDirectory directory;
  GoldenNet<float> net({.rank = 2}), other;
  net.wide.lora_B().value.setOnes();
  save_adapter(directory.path(), net.slots());
  load_adapter(directory.path(), other.slots());
  CHECK(same_bits(Matrix<float>(other.wide.lora_A().value), net.wide.lora_A().value));
  CHECK(read_adapter<float>(directory.path()).modules.at("encoder.wide").b.value.isOnes());
}

TEST_CASE("a linear layer with DoRA computes what PEFT does with the file that PEFT saved") {
  const auto golden = std::filesystem::path(LORA_GOLDEN_DIR) / "dora";
  const io::SafetensorsReader file(golden / "linear.safetensors");
  const auto value = [&](const char* name) { return file.read<float>(name); };
  LoRALinear<float> layer(DenseWeight<float>(value("weight")), {.rank = 1, .use_dora = true}, 1,
                          value("bias").transpose());
  layer.set_name("fc");
  CHECK(largest_difference(layer.lora_magnitude().value, value("start")) < 1e-6);
  const PeftConfig config = load_adapter(golden / "linear", layer);
  CHECK(config.use_dora);
  CHECK(layer.config().use_dora);

  const Matrix<float> x = value("x");
  Matrix<float> y, dx, inferred;
  Tape<float> tape;
  layer.forward(x, inferred);
  layer.forward(x, tape, y);
  layer.backward(x, value("dy"), tape, dx);
  CHECK(largest_difference(inferred, value("y")) < 1e-5);
  CHECK(largest_difference(y, value("y")) < 1e-5);
  CHECK(largest_difference(dx, value("dx")) < 1e-5);
  CHECK(largest_difference(layer.lora_A().grad, value("da")) < 1e-5);
  CHECK(largest_difference(layer.lora_B().grad, value("db")) < 1e-5);
  CHECK(largest_difference(layer.lora_magnitude().grad, value("dm")) < 1e-5);
  CHECK(largest_difference(layer.merged_weight(), value("merged")) < 1e-5);

  // In training with dropout, which tests/layers/dora.cpp holds this layer to.
  const Matrix<float> dropped = x.cwiseProduct(value("mask")), w = value("weight");
  const Matrix<float> sum = w + (5.0F / 3) * layer.lora_B().value * layer.lora_A().value;
  Matrix<float> g = layer.lora_magnitude().value;
  g.array() /= sum.rowwise().norm().transpose().array();
  Matrix<float> masked = dropped * sum.transpose() * g.row(0).asDiagonal();
  masked += (x - dropped) * w.transpose();
  masked.rowwise() += layer.bias().value.row(0);
  CHECK(largest_difference(masked, value("y_masked")) < 1e-5);

  // Files both ways: what is saved again is what PEFT saved.
  const TemporaryDirectory directory;
  AdapterSaveOptions<float> options;
  options.config = config;
  save_adapter(directory.path(), layer, options);
  const AdapterWeights ours(directory.path()), theirs(golden / "linear");
  CHECK(ours.names() == theirs.names());
  CHECK(ours.shape("fc.lora_magnitude_vector") == theirs.shape("fc.lora_magnitude_vector"));
  const auto again = read_adapter<float>(directory.path());
  CHECK(again.config.use_dora);
  REQUIRE(again.modules.at("fc").magnitude);
  CHECK(same_bits(again.modules.at("fc").magnitude->value,
                  Matrix<float>(layer.lora_magnitude().value)));
}

TEST_CASE("a convolution with DoRA computes what PEFT does with the file that PEFT saved") {
  const auto golden = std::filesystem::path(LORA_GOLDEN_DIR) / "dora";
  const io::SafetensorsReader file(golden / "conv2d.safetensors");
  const auto value = [&](const char* name) { return file.read<float>(name); };
  const Matrix<float> w = file.read<float>("weight", 6, 36);
  LoRAConv2d<float> layer(w, Window::square(3, 2, 1), {.rank = 1, .use_dora = true}, 1,
                          value("bias").transpose());
  layer.set_name("fc");
  CHECK(largest_difference(layer.lora_magnitude().value, value("start")) < 1e-6);
  const PeftConfig config = load_adapter(golden / "conv2d", layer);
  const ImageShape in{2, 5, 5};
  const Matrix<float> x = value("x");
  Matrix<float> y, dx;
  Tape<float> tape;
  layer.forward(x, in, tape, y);
  layer.backward(x, in, value("dy"), tape, dx);
  CHECK(largest_difference(y, value("y")) < 1e-5);
  CHECK(largest_difference(dx, value("dx")) < 1e-5);
  CHECK(largest_difference(layer.lora_A().grad, file.read<float>("da", 3, 36)) < 1e-4);
  CHECK(largest_difference(layer.lora_B().grad, file.read<float>("db", 6, 3)) < 1e-4);
  CHECK(largest_difference(layer.lora_magnitude().grad, value("dm")) < 1e-4);
  CHECK(largest_difference(layer.merged_weight(), file.read<float>("merged", 6, 36)) < 1e-5);

  const TemporaryDirectory directory;
  save_adapter(directory.path(), layer);
  CHECK(AdapterWeights(directory.path()).shape("fc.lora_magnitude_vector") ==
        io::Shape{1, 6, 1, 1});
  CHECK(read_adapter<float>(directory.path()).modules.at("fc").magnitude->value.size() == 6);
}

TEST_CASE("magnitudes that adapter_config.json does not ask for have no place") {
  const auto golden = std::filesystem::path(LORA_GOLDEN_DIR) / "dora" / "linear";
  const TemporaryDirectory directory;
  for (const char* name : {"adapter_config.json", "adapter_model.safetensors"})
    std::filesystem::copy(golden / name, directory.path() / name);
  PeftConfig config = read_peft_config(golden);
  config.use_dora = false;
  write_whole(directory.path() / "adapter_config.json", peft_config_text(config));
  check_throws<FileError>([&] { static_cast<void>(read_adapter<float>(directory.path())); },
                          "lora_magnitude_vector");
}

TEST_CASE("layers of one adapter are all with DoRA or all without") {
  const TemporaryDirectory directory;
  GoldenNet<float> net({.rank = 2});
  net.wide.replace_adapter({.rank = 2, .use_dora = true}, net.wide.lora_A().value,
                           net.wide.lora_B().value);
  check_throws<ConfigError>([&] { save_adapter(directory.path(), net.slots()); }, "use_dora");
}
