#include <lora/peft/adapter_reader.hpp>

#include <lora/peft/adapter_writer.hpp>

#include "peft/golden_net.hpp"
#include "support/random_matrix.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"
#include "support/whole_file.hpp"

using namespace lora;
using namespace lora::io;
using namespace lora::peft;
using namespace lora::test;

namespace {

// Everything that loading may change, to be compared.
template <class T>
std::vector<Matrix<T>> state_of(GoldenNet<T>& net) {
  return {net.wide.lora_A().value,    net.wide.lora_B().value,   net.wide.bias().value,
          net.narrow.lora_A().value,  net.narrow.lora_B().value, net.classifier.weight().value,
          net.classifier.bias().value};
}

template <class T>
bool same_state(GoldenNet<T>& net, const std::vector<Matrix<T>>& before) {
  const auto now = state_of(net);
  for (std::size_t i = 0; i < now.size(); ++i)
    if (!same_bits(now[i], before[i])) return false;
  return true;
}

template <class T>
void check_golden(const std::string& name) {
  CAPTURE(name);
  const SafetensorsReader outputs(GoldenNet<T>::adapters() / "outputs.safetensors");
  GoldenNet<T> net;
  const Matrix<T> x = outputs.read<T>("x");
  CHECK(largest_difference(net(x), outputs.read<T>("base")) < 1e-5);
  const auto directory = GoldenNet<T>::adapters() / name;
  const bool has_head = name == "modules_to_save" || name == "all_biases";
  std::vector<AdaptedLayerRef<T>> slots = net.slots();
  if (name == "all_biases") slots = {net.wide};
  AdapterLoadOptions<T> options;
  const auto head = net.classifier.parameters();
  if (has_head) options.parameters = head;
  load_adapter(directory, slots, options);
  CHECK(largest_difference(net(x), outputs.read<T>(name)) < 1e-5);
  CHECK(largest_difference(outputs.read<T>("base"), outputs.read<T>(name)) > 1e-2);
}

}  // namespace

TEST_CASE("adapters that PEFT trained compute what they compute in PEFT") {
  for (const char* name :
       {"plain", "rslora", "patterns", "lora_only", "all_biases", "modules_to_save",
        "gaussian_dropout", "pattern_targets", "float16", "bfloat16", "float64"}) {
    check_golden<float>(name);
    check_golden<double>(name);
  }
}

TEST_CASE("loading brings the settings too") {
  GoldenNet<float> net;
  load_adapter(net.adapters() / "patterns", net.slots());
  CHECK(net.narrow.config() == LoRAConfig{.rank = 3, .alpha = 6});
  CHECK(net.wide.config() == LoRAConfig{.rank = 2, .alpha = 5});
  load_adapter(net.adapters() / "lora_only", net.slots());
  CHECK(net.wide.config().train_bias);
  CHECK(!net.narrow.config().train_bias);  // it has none
  const PeftConfig config = load_adapter(net.adapters() / "gaussian_dropout", net.slots());
  CHECK(net.wide.config() ==
        LoRAConfig{.rank = 2, .alpha = 6, .dropout = 0.25, .init = LoRAInit::gaussian});
  CHECK(config.lora_dropout == 0.25);
  CHECK(config.peft_version == "0.21.2");
  net.wide.lora_A().grad.setOnes();
  load_adapter(net.adapters() / "plain", net.slots());
  CHECK(net.wide.lora_A().grad.isZero());
}

TEST_CASE("a tensor that is missing, has no place or another shape changes nothing") {
  const TemporaryDirectory directory;
  GoldenNet<float> net({.rank = 2, .alpha = 6});
  const auto adapter = directory / "adapter";
  const auto before = state_of(net);
  const auto head = net.classifier.parameters();
  // Saves the tensors of a good adapter after `change`, and expects `why` at loading.
  const auto refused = [&](const auto& change, const std::string& why) {
    CAPTURE(why);
    save_adapter(adapter, net.slots(), {.parameters = head});
    const SafetensorsReader good(adapter / adapter_weights_file);
    std::map<std::string, Tensor> tensors;
    for (const auto& [name, view] : good.tensors())
      tensors[name] = {name, view.dtype, view.shape, {view.bytes.begin(), view.bytes.end()}};
    change(tensors);
    std::vector<Tensor> list;
    for (const auto& [name, tensor] : tensors) list.push_back(tensor);
    write_safetensors(adapter / adapter_weights_file, list);
    check_throws<FileError>([&] { load_adapter(adapter, net.slots(), {.parameters = head}); }, why);
    CHECK(same_state(net, before));
  };
  using Tensors = std::map<std::string, Tensor>;
  const std::string wide_a = "base_model.model.encoder.wide.lora_A.weight";
  const std::string narrow_b = "base_model.model.encoder.narrow.lora_B.weight";
  const std::string bias = "base_model.model.classifier.bias";
  for (const std::string& name : {wide_a, narrow_b, bias})
    refused([&](Tensors& tensors) { tensors.erase(name); }, "\"" + name + "\" is missing");
  refused(
      [&](Tensors& tensors) {
        tensors["x"] = {"x", DType::F32, {0}, {}};
      },
      "tensor \"x\" has no place");
  refused(
      [&](Tensors& tensors) {
        auto copy = tensors[wide_a];
        copy.name = "base_model.model.encoder.wide.lora_magnitude_vector";
        tensors[copy.name] = copy;
      },
      "lora_magnitude_vector\" has no place");
  refused(
      [&](Tensors& tensors) {
        tensors[wide_a].shape = {12, 2};
      },
      "is of shape (12, 2), expected (2, 12)");
  refused([&](Tensors& tensors) { tensors[narrow_b].shape = {12}; },
          "is of shape (12,), expected (6, 2)");
  refused(
      [&](Tensors& tensors) {
        tensors[bias].shape = {3, 1};
      },
      "is of shape (3, 1), expected (1, 3)");
  refused([&](Tensors& tensors) { tensors[narrow_b].dtype = DType::I32; }, "dtype is I32");

  // A parameter that is not asked for has no place either.
  save_adapter(adapter, net.slots(), {.parameters = head});
  check_throws<FileError>([&] { load_adapter(adapter, net.slots()); }, "has no place");
  check_throws<FileError>([&] { load_adapter(adapter, net.wide, {.parameters = head}); },
                          "encoder.narrow.lora_A.weight\" has no place");
  CHECK(same_state(net, before));
}

TEST_CASE("PEFT's copies of the biases of what is stored whole are known, and no others") {
  GoldenNet<float> net;
  const auto head = net.classifier.parameters();
  const std::string x = "base_model.model.classifier";
  const auto load_with = [&](const std::string& prefix, const std::string& copy) {
    // The head as a part of a larger module, as far as names go.
    const TemporaryDirectory directory;
    const auto golden = GoldenNet<float>::adapters() / "all_biases";
    write_whole(directory / adapter_config_file, read_whole(golden / adapter_config_file));
    std::vector<Tensor> tensors;
    const SafetensorsReader file(golden / adapter_weights_file);
    for (const auto& [key, view] : file.tensors()) {
      if (key.find("original_module") != key.npos || key.find("modules_to_save") != key.npos)
        continue;
      std::string name = key;
      if (name.starts_with(x)) name = "base_model.model." + prefix + name.substr(x.size());
      tensors.push_back({name, view.dtype, view.shape, {view.bytes.begin(), view.bytes.end()}});
    }
    tensors.push_back({"base_model.model." + copy, DType::F32, {}, std::vector<std::byte>(4)});
    write_safetensors(directory / adapter_weights_file, std::move(tensors));
    net.classifier.set_name(prefix);
    static_cast<void>(load_adapter<float>(directory.path(), {net.wide}, {.parameters = head}));
  };
  load_with("head", "head.original_module.bias");
  load_with("head", "head.modules_to_save.bias");
  load_with("head", "head.modules_to_save.default.bias");
  load_with("block.head", "block.original_module.head.bias");
  load_with("block.head", "block.modules_to_save.default.head.bias");
  for (const char* other : {"head.original_module.weight", "other.original_module.bias",
                            "head.modules_to_save.default.more.bias", "head.xoriginal_module.bias"})
    check_throws<FileError>([&] { load_with("head", other); }, "has no place");
}

TEST_CASE("settings that do not fit the weights change nothing") {
  const TemporaryDirectory directory;
  GoldenNet<float> net({.rank = 2});
  const auto before = state_of(net);
  save_adapter(directory / "a", net.slots());
  const auto config = directory / "a" / adapter_config_file;
  const std::string good = read_whole(config);
  const auto refused = [&](const std::string& from, const std::string& to, const std::string& why) {
    std::string text = good;
    REQUIRE(text.find(from) != std::string::npos);
    write_whole(config, text.replace(text.find(from), from.size(), to));
    check_throws<FileError>([&] { load_adapter(directory / "a", net.slots()); }, why);
    CHECK(same_state(net, before));
  };
  refused("\"r\": 2", "\"r\": 3", "is of shape (2, 12), expected (3, 12)");
  refused("\"r\": 2", "\"r\": 1000000", "expected (1000000, 12)");
  refused("\"use_dora\": false", "\"use_dora\": true", "use_dora is true");
  refused("\"bias\": \"none\"", "\"bias\": \"all\"", "base_layer.bias\" is missing");
  refused("{", "", "not valid JSON");
}

TEST_CASE("a merged layer refuses to be loaded, and the others stay as they are") {
  GoldenNet<float> net;
  net.narrow.merge();
  const auto before = state_of(net);
  CHECK_THROWS_AS(load_adapter(net.adapters() / "plain", net.slots()), StateError);
  CHECK(same_state(net, before));
}

TEST_CASE("a directory that is no adapter is an error that says what is missing") {
  const TemporaryDirectory directory;
  GoldenNet<float> net;
  const auto load = [&] { load_adapter(directory.path(), net.slots()); };
  check_throws<FileError>(load, "adapter_config.json: cannot open");
  write_whole(directory / "adapter_config.json", R"({"peft_type": "LORA"})");
  check_throws<FileError>(load, "adapter_model.safetensors: cannot open");
  write_whole(directory / "adapter_model.bin", "pickle");
  check_throws<FileError>(load, "adapter_model.bin: is a Python pickle");
  write_whole(directory / "adapter_model.safetensors", "short");
  check_throws<FileError>(load, "adapter_model.safetensors: is 5 bytes");
  write_whole(directory / "adapter_config.json", "");
  check_throws<FileError>(load, "adapter_config.json: is empty");
}

TEST_CASE("numbers that float cannot hold are an error") {
  const TemporaryDirectory directory;
  LoRALinear<double> wide(DenseWeight<double>(Matrix<double>::Identity(2, 2)), {.rank = 1}, 1);
  LoRALinear<float> narrow(DenseWeight<float>(Matrix<float>::Identity(2, 2)), {.rank = 1}, 1);
  wide.set_name("q");
  narrow.set_name("q");
  wide.lora_B().value(1, 0) = 1e300;
  save_adapter(directory / "a", wide);
  check_throws<FileError>([&] { load_adapter(directory / "a", narrow); },
                          "lora_B.weight\": element 1 is 1e+300, too large for F32");
  CHECK(narrow.lora_B().value.isZero());
}
