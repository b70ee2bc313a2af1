#include <lora/peft/adapter_reader.hpp>

#include <cmath>
#include <limits>

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
      "is of shape (3, 1), expected (3,)");
  refused([&](Tensors& tensors) { tensors[narrow_b].dtype = DType::I32; }, "dtype is I32");

  // A parameter that is not asked for has no place either.
  save_adapter(adapter, net.slots(), {.parameters = head});
  check_throws<FileError>([&] { load_adapter(adapter, net.slots()); }, "has no place");
  check_throws<FileError>([&] { load_adapter(adapter, net.wide, {.parameters = head}); },
                          "encoder.narrow.lora_A.weight\" has no place");
  CHECK(same_state(net, before));
}

TEST_CASE("PEFT's copies of what is stored whole are known, and no others") {
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
  // Of embeddings and a head that are stored whole, with save_embedding_layers.
  load_with("head", "head.original_module.weight");
  load_with("head", "head.modules_to_save.weight");
  for (const char* other : {"head.original_module.other", "other.original_module.bias",
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
  refused("\"use_dora\": false", "\"use_dora\": true", "lora_magnitude_vector\" is missing");
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

namespace {

// Rewrites the tensors of a saved adapter: change(name, tensor) may rename or alter each; more are
// appended.
template <class Change>
void rewrite(const std::filesystem::path& adapter, const Change& change,
             const std::vector<Tensor>& more = {}) {
  std::vector<Tensor> tensors = more;
  {
    const SafetensorsReader file(adapter / adapter_weights_file);
    for (const auto& [name, view] : file.tensors()) {
      Tensor tensor{name, view.dtype, view.shape, {view.bytes.begin(), view.bytes.end()}};
      if (change(tensor)) tensors.push_back(std::move(tensor));
    }
  }
  write_safetensors(adapter / adapter_weights_file, std::move(tensors));
}

constexpr auto unchanged = [](Tensor&) { return true; };

}  // namespace

TEST_CASE("a tensor is found with the adapter's name default inside, and with no other") {
  const TemporaryDirectory directory;
  GoldenNet<float> saved({.rank = 2}), net({.rank = 2});
  saved.wide.lora_B().value.setConstant(3);
  const auto insert = [&](const std::string& name) {
    save_adapter(directory.path(), saved.slots());
    rewrite(directory.path(), [&](Tensor& tensor) {
      tensor.name.insert(tensor.name.rfind('.'), "." + name);
      return true;
    });
  };
  insert("default");
  load_adapter(directory.path(), net.slots());
  CHECK(net.wide.lora_B().value.isConstant(3));
  insert("mine");
  const std::string key = "base_model.model.encoder.wide.lora_A.";
  check_throws<FileError>([&] { load_adapter(directory.path(), net.slots()); },
                          "tensor \"" + key + "weight\" is missing");
  save_adapter(directory.path(), saved.slots());
  rewrite(directory.path(), unchanged,
          {{key + "default.weight", DType::F32, {2, 12}, std::vector<std::byte>(96)}});
  check_throws<FileError>([&] { load_adapter(directory.path(), net.slots()); },
                          key + "weight\" is there as \"" + key + "default.weight\" too");
}

TEST_CASE("a copy of the base model's tensor is accepted where it is equal") {
  const TemporaryDirectory directory;
  GoldenNet<float> net;
  const Matrix<float> embedding = random_matrix<float>(5, 4, 1);
  const Tensor base = make_tensor("base", embedding);
  const TensorView view{base.dtype, base.shape, base.bytes};
  const AdapterLoadOptions<float> options{
      .base = [&](const std::string& name) { return name == "embed.weight" ? &view : nullptr; }};
  const auto load_with = [&](const Matrix<float>& copy, DType dtype = DType::F32) {
    save_adapter(directory.path(), net.slots());
    rewrite(directory.path(), unchanged, {make_tensor(adapter_key("embed.weight"), copy, dtype)});
    load_adapter(directory.path(), net.slots(), options);
  };
  CHECK_NOTHROW(load_with(embedding));
  CHECK_NOTHROW(load_with(embedding, DType::BF16));  // of a model that was loaded in half
  Matrix<float> trained = embedding;
  trained(4, 3) += 0x1p-20F;
  check_throws<FileError>([&] { load_with(trained); },
                          "tensor \"base_model.model.embed.weight\" is stored beside the adapter");
  check_throws<FileError>([&] { load_with(trained); }, "differs from the base model's");
  check_throws<FileError>([&] { load_with(embedding.topRows(4)); },
                          "differs from the base model's");
  check_throws<FileError>([&] { load_adapter(directory.path(), net.slots()); },
                          "embed.weight\" has no place");
}

TEST_CASE("NaN and infinity are refused unless they are asked for") {
  const TemporaryDirectory directory;
  GoldenNet<float> net({.rank = 2}), other({.rank = 2});
  const auto before = state_of(other);
  const auto head = net.classifier.parameters(), other_head = other.classifier.parameters();
  net.narrow.lora_A().value(1, 2) = std::numeric_limits<float>::quiet_NaN();
  save_adapter(directory.path(), net.slots(), {.parameters = head});
  const auto load = [&](bool allowed) {
    load_adapter(directory.path(), other.slots(),
                 {.parameters = other_head, .allow_not_finite = allowed});
  };
  check_throws<FileError>([&] { load(false); }, "encoder.narrow.lora_A.weight\" element ");
  check_throws<FileError>([&] { load(false); }, "is nan, which would spoil every result");
  CHECK(same_state(other, before));
  load(true);
  CHECK(std::isnan(other.narrow.lora_A().value(1, 2)));
  net.narrow.lora_A().value.setZero();
  net.classifier.bias().value(0, 1) = -std::numeric_limits<float>::infinity();
  save_adapter(directory.path(), net.slots(), {.parameters = head});
  check_throws<FileError>([&] { load(false); }, "classifier.bias\" element 1 is -inf");
}

TEST_CASE("a layer that the file has nothing for stays new, where that is allowed") {
  const TemporaryDirectory directory;
  GoldenNet<float> net({.rank = 2}), other({.rank = 2});
  net.wide.lora_B().value.setOnes();
  save_adapter(directory.path(), net.slots());
  rewrite(directory.path(),
          [](Tensor& tensor) { return tensor.name.find("narrow") == tensor.name.npos; });
  const auto load = [&] {
    load_adapter(directory.path(), other.slots(), {.may_lack_layers = true});
  };
  check_throws<FileError>([&] { load_adapter(directory.path(), other.slots()); },
                          "encoder.narrow.lora_A.weight\" is missing");
  load();
  CHECK(other.wide.lora_B().value.isOnes());
  CHECK(other.narrow.lora_B().value.isZero());
  CHECK(!other.narrow.lora_A().value.isZero());
  other.narrow.lora_B().value.setOnes();
  check_throws<FileError>(load, "has no tensors for \"encoder.narrow\", whose adapter is not new");
  GoldenNet<float> larger({.rank = 3});
  check_throws<FileError>(
      [&] { load_adapter(directory.path(), larger.slots(), {.may_lack_layers = true}); },
      "has no tensors for \"encoder.narrow\", whose own are of shape (3, 8), expected (2, 8)");
  // One factor alone is a fault, and so is a layer that nobody says is adapted.
  save_adapter(directory.path(), net.slots());
  rewrite(directory.path(),
          [](Tensor& tensor) { return !tensor.name.ends_with("narrow.lora_A.weight"); });
  other.narrow.lora_B().value.setZero();
  check_throws<FileError>(load, "encoder.narrow.lora_A.weight\" is missing");
  save_adapter(directory.path(), net.wide);
  check_throws<FileError>(load, "encoder.narrow.lora_A.weight\" is missing");
}

TEST_CASE("two layers or parameters of one name are refused with what to call") {
  GoldenNet<float> net;
  const auto plain = net.adapters() / "plain";
  net.narrow.set_name("encoder.wide");
  check_throws<ConfigError>(
      [&] { load_adapter(plain, net.slots()); },
      "load_adapter: two layers are called \"encoder.wide\": give each its own "
      "name with set_name");
  Parameter<float> first("head.weight", Matrix<float>::Zero(1, 1)), second = first;
  check_throws<ConfigError>(
      [&] {
        load_adapter<float>(plain, {net.wide}, {.parameters = {&first, &second}});
      },
      "set_name");
}

TEST_CASE("a parameter comes back with the shape it had in the file") {
  const TemporaryDirectory directory;
  GoldenNet<float> net;
  // (1, 12) called a bias, a vector, and a kernel; then the other way round.
  Parameter<float> row("m.bias", random_matrix<float>(1, 12, 1)),
      vector("v.scale", random_matrix<float>(1, 12, 2), {12}),
      kernel("k.weight", random_matrix<float>(2, 6, 3), {2, 3, 1, 2});
  save_adapter(directory / "a", net.slots(), {.parameters = {&row, &vector, &kernel}});
  Parameter<float> row2("m.bias", Matrix<float>::Zero(1, 12), {12}),
      vector2("v.scale", Matrix<float>::Zero(1, 12)),
      kernel2("k.weight", Matrix<float>::Zero(2, 6), {2, 3, 1, 2});
  load_adapter(directory / "a", net.slots(), {.parameters = {&row2, &vector2, &kernel2}});
  save_adapter(directory / "b", net.slots(), {.parameters = {&row2, &vector2, &kernel2}});
  CHECK(read_whole(directory / "a" / adapter_weights_file) ==
        read_whole(directory / "b" / adapter_weights_file));
  kernel2.set_shape({2, 6});
  check_throws<FileError>(
      [&] {
        load_adapter(directory / "a", net.slots(), {.parameters = {&row2, &vector2, &kernel2}});
      },
      "k.weight\" is of shape (2, 3, 1, 2), expected (2, 6)");
}

TEST_CASE("a layer whose B has a trained bias is not new, though its B A is zero") {
  const TemporaryDirectory directory;
  const LoRAConfig config{.rank = 2, .lora_bias = true};
  GoldenNet<float> net(config), other(config);
  net.wide.lora_B().value.setOnes();
  save_adapter(directory.path(), net.slots());
  rewrite(directory.path(),
          [](Tensor& tensor) { return tensor.name.find("narrow") == tensor.name.npos; });
  const auto load = [&] {
    load_adapter(directory.path(), other.slots(), {.may_lack_layers = true});
  };
  load();
  CHECK(other.wide.lora_B().value.isOnes());
  other.narrow.lora_B_bias().value(0, 1) = 3;
  const auto before = state_of(other);
  check_throws<FileError>(load, "has no tensors for \"encoder.narrow\", whose adapter is not new");
  CHECK(same_state(other, before));
  CHECK(other.narrow.lora_B_bias().value(0, 1) == 3);
}
