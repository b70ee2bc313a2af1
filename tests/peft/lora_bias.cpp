// Adapters with lora_bias, from PEFT's files to layers and values, and back.

#include <filesystem>

#include <lora/layers/lora_conv1d.hpp>
#include <lora/layers/lora_linear.hpp>
#include <lora/peft/adapter.hpp>
#include <lora/peft/combine_adapters.hpp>
#include <lora/peft/merge_adapter.hpp>
#include <lora/peft/register_adapter.hpp>
#include <lora/peft/resize_adapter.hpp>
#include <lora/peft/values_writer.hpp>

#include "support/catch.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"
#include "support/whole_file.hpp"

using namespace lora;
using namespace lora::peft;
using namespace lora::test;

namespace {

const std::filesystem::path biased = LORA_GOLDEN_DIR "/lora_bias";

// A (first, others) matrix of any tensor.
Matrix<float> biased_value(const io::SafetensorsReader& file, const std::string& name) {
  const MatrixShape size(file.tensor(name).shape);
  return file.read<float>(name, size.rows, size.cols);
}

// Loads the adapter called `name` into `layer`, and checks what it computes by run(forward and
// backward), what it merges to, and that it is saved as PEFT saved it.
template <class Layer, class Run>
void check_biased(const std::string& name, Layer layer, const Run& run) {
  CAPTURE(name);
  const io::SafetensorsReader file(biased / (name + ".safetensors"));
  const auto value = [&](const char* key) { return biased_value(file, key); };
  layer.set_name("fc");
  const PeftConfig config = load_adapter(biased / name, layer);
  CHECK(config.lora_bias);
  CHECK(layer.config().lora_bias);
  Matrix<float> y, dx;
  run(layer, value("x"), value("dy"), y, dx);
  CHECK(largest_difference(y, value("y")) < 1e-5);
  CHECK(largest_difference(dx, value("dx")) < 1e-5);
  CHECK(largest_difference(layer.lora_A().grad, value("da")) < 1e-4);
  CHECK(largest_difference(layer.lora_B().grad, value("db")) < 1e-4);
  CHECK(largest_difference(layer.lora_B_bias().grad, value("db_bias")) < 1e-4);

  const TemporaryDirectory directory;
  save_adapter(directory.path(), layer, {.config = config});
  CHECK(read_whole(directory / "adapter_config.json") ==
        read_whole(biased / name / "adapter_config.json"));
  const AdapterWeights ours(directory.path()), theirs(biased / name);
  CHECK(ours.names() == theirs.names());
  CHECK(ours.shape("fc.lora_B.bias") == theirs.shape("fc.lora_B.bias"));
  CHECK(same_bits(Matrix<float>(layer.lora_B_bias().value),
                  read_adapter<float>(directory.path()).modules.at("fc").b_bias->value));

  CHECK(largest_difference(layer.merged_weight(), value("merged")) < 1e-5);
  layer.merge();
  CHECK(largest_difference(layer.bias().value, value("merged_bias")) < 1e-5);
}

Vector<float> biased_bias(const char* name) {
  return biased_value(io::SafetensorsReader(biased / (std::string(name) + ".safetensors")), "bias")
      .transpose();
}

Matrix<float> biased_weight(const char* name) {
  return biased_value(io::SafetensorsReader(biased / (std::string(name) + ".safetensors")),
                      "weight");
}

}  // namespace

TEST_CASE("layers with lora_bias compute what PEFT does with the files that PEFT saved") {
  Tape<float> tape;
  check_biased("linear",
               LoRALinear<float>(DenseWeight<float>(biased_weight("linear")), {.rank = 1}, 1,
                                 biased_bias("linear")),
               [&](auto& layer, const Matrix<float>& x, const Matrix<float>& dy, Matrix<float>& y,
                   Matrix<float>& dx) {
                 layer.forward(x, tape, y);
                 layer.backward(x, dy, tape, dx);
               });
  const auto run = [&](const auto& in) {
    return [&tape, in](auto& layer, const Matrix<float>& x, const Matrix<float>& dy,
                       Matrix<float>& y, Matrix<float>& dx) {
      layer.forward(x, in, tape, y);
      layer.backward(x, in, dy, tape, dx);
    };
  };
  check_biased("conv2d",
               LoRAConv2d<float>(biased_weight("conv2d"), Window::square(2, 2, 1), {.rank = 1}, 1,
                                 biased_bias("conv2d")),
               run(ImageShape{2, 4, 4}));
  check_biased("conv1d",
               LoRAConv1d<float>(biased_weight("conv1d"), {.kernel = 2}, {.rank = 1}, 1,
                                 biased_bias("conv1d")),
               run(SequenceShape{2, 5}));
}

TEST_CASE("values keep the bias of B through files, ranks and registries, or refuse it by name") {
  const auto adapter = read_adapter<float>(biased / "linear");
  const auto& factors = adapter.modules.at("fc");
  REQUIRE(factors.b_bias);
  const TemporaryDirectory directory;
  save_adapter(directory / "saved", adapter);
  CHECK(same_bits(read_adapter<float>(directory / "saved").modules.at("fc").b_bias->value,
                  factors.b_bias->value));
  auto without = adapter;
  without.modules.at("fc").b_bias.reset();
  check_throws<ConfigError>([&] { save_adapter(directory / "no", without); },
                            "lora_bias is set, and \"fc\" has no bias of B");

  // A scaling of 1 leaves s b_B to the bias.
  const auto resized = resize_adapter(adapter, {.rank = 2}).adapter.modules.at("fc");
  CHECK(largest_difference(resized.b_bias->value, (5.0F / 3) * factors.b_bias->value) < 1e-6);
  check_throws<ConfigError>(
      [&] {
        static_cast<void>(combine_adapters<float>({{&adapter, 1, "one"}, {&adapter, 1, "two"}}));
      },
      "lora_bias");

  LoRALinear<float> layer(DenseWeight<float>(biased_weight("linear")), biased_bias("linear"));
  layer.set_name("fc");
  AdapterRegistry<float> registry;
  registry.manage(layer);
  add_adapter(registry, "one", adapter);
  registry.activate("one");
  const io::SafetensorsReader file(biased / "linear.safetensors");
  const Matrix<float> x = file.read<float>("x");
  Matrix<float> y;
  layer.forward(x, y);
  CHECK(largest_difference(y, file.read<float>("y")) < 1e-5);
  check_throws<ConfigError>([&] { registry.activate({{"one", 0.5}}); }, "lora_bias");
}

TEST_CASE("merging into files adds lora_bias to the base's bias, which must be there") {
  const io::SafetensorsReader file(biased / "linear.safetensors");
  const TemporaryDirectory base;
  const auto write = [&](bool with_bias) {
    std::vector<io::Tensor> tensors{io::make_tensor("fc.weight", file.read<float>("weight"))};
    if (with_bias) tensors.push_back(io::make_tensor("fc.bias", file.read<float>("bias"), {7}));
    io::write_safetensors(base / "model.safetensors", std::move(tensors));
  };
  io::write_file(base / "config.json", "{}");
  const auto adapter = read_adapter<float>(biased / "linear");
  const TemporaryDirectory out;
  write(true);
  const MergeReport report = merge_adapter(base.path(), adapter, out / "merged");
  CHECK(report.merged == std::vector<std::string>{"fc.bias", "fc.weight"});
  const io::SafetensorsReader merged(out / "merged" / "model.safetensors");
  CHECK(largest_difference(merged.read<float>("fc.bias"), file.read<float>("merged_bias")) < 1e-6);
  CHECK(largest_difference(merged.read<float>("fc.weight"), file.read<float>("merged")) < 1e-6);

  auto trained = adapter;  // the base's bias too: bias="lora_only"
  trained.others["fc.base_layer.bias"] = {Matrix<float>::Zero(1, 7), {7}};
  static_cast<void>(merge_adapter(base.path(), trained, out / "trained"));
  CHECK(largest_difference(
            io::SafetensorsReader(out / "trained" / "model.safetensors").read<float>("fc.bias"),
            (5.0F / 3) * adapter.modules.at("fc").b_bias->value) < 1e-6);
  write(false);
  check_throws<FileError>(
      [&] { static_cast<void>(merge_adapter(base.path(), adapter, out / "none")); },
      "has no bias of \"fc\"");
}
