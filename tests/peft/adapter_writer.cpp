#include <lora/peft/adapter_writer.hpp>

#include <chrono>

#include <lora/frozen/mapped_weight.hpp>
#include <lora/layers/lora_linear_group.hpp>
#include <lora/layers/plain_adapter.hpp>
#include <lora/layers/weight_start.hpp>
#include <lora/peft/adapter_reader.hpp>

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

// Gives a layer factors that are not zero.
template <class Layer>
void fill(Layer& layer, std::uint64_t seed) {
  using T = typename Layer::Scalar;
  layer.lora_A().value = random_matrix<T>(layer.rank(), layer.in_features(), seed);
  layer.lora_B().value = random_matrix<T>(layer.out_features(), layer.rank(), seed + 1);
}

template <class T>
void check_saved_adapter() {
  const TemporaryDirectory directory;
  GoldenNet<T> net(
      {.rank = 3, .alpha = 0.7, .dropout = 0.5, .use_rslora = true, .train_bias = true});
  fill(net.wide, 1);
  fill(net.narrow, 3);
  net.wide.bias().value.setRandom();
  const auto head = net.classifier.parameters();
  save_adapter(directory / "new" / "deep", net.slots(), {.parameters = head});
  GoldenNet<T> other({.rank = 1});
  const auto other_head = other.classifier.parameters();
  other.classifier.weight().value.setZero();
  load_adapter(directory / "new" / "deep", other.slots(), {.parameters = other_head});
  CHECK(same_bits(other.wide.lora_A().value, net.wide.lora_A().value));
  CHECK(same_bits(other.narrow.lora_B().value, net.narrow.lora_B().value));
  CHECK(same_bits(other.wide.bias().value, net.wide.bias().value));
  CHECK(same_bits(other.classifier.weight().value, net.classifier.weight().value));
  CHECK(other.wide.config() == net.wide.config());
  CHECK(other.narrow.config() == net.narrow.config());
  const Matrix<T> x = random_matrix<T>(4, 12, 9);
  CHECK(same_bits(other(x), net(x)));
}

}  // namespace

TEST_CASE("what is saved is loaded to the last bit") {
  check_saved_adapter<float>();
  check_saved_adapter<double>();
}

TEST_CASE("what PEFT saved is saved again as the same files") {
  for (const char* name : {"plain", "rslora", "lora_only", "modules_to_save", "gaussian_dropout",
                           "pattern_targets", "patterns", "float16", "bfloat16", "float64"}) {
    CAPTURE(name);
    GoldenNet<double> net;
    const auto from = net.adapters() / name;
    AdapterSaveOptions<double> options;
    AdapterLoadOptions<double> load_options;
    const auto head = net.classifier.parameters();
    if (std::string(name) == "modules_to_save") {
      options.parameters = head;
      load_options.parameters = head;
    }
    options.config = load_adapter(from, net.slots(), load_options);
    options.dtype = SafetensorsReader(from / adapter_weights_file).tensors().begin()->second.dtype;
    const TemporaryDirectory to;
    save_adapter(to.path(), net.slots(), options);
    for (const char* file : {adapter_config_file, adapter_weights_file})
      CHECK(read_whole(to / file) == read_whole(from / file));
  }
}

TEST_CASE("tensors have PEFT's names, shapes and the type that was asked for") {
  const TemporaryDirectory directory;
  GoldenNet<float> net({.rank = 2});
  fill(net.wide, 1);
  Parameter<float> norm("norm.weight", random_matrix<float>(1, 4, 1), {4});
  Parameter<float> norm_bias("norm.bias", random_matrix<float>(1, 4, 2), {4});
  Parameter<float> row_bias("odd.bias", random_matrix<float>(1, 4, 5));  // which is no vector
  Parameter<float> kernel("conv.weight", random_matrix<float>(2, 12, 6), {2, 3, 2, 2});
  Parameter<float> score("score.weight", random_matrix<float>(1, 4, 3));
  Parameter<float> score_bias("score.bias", random_matrix<float>(1, 1, 4), {1});
  const std::vector<Parameter<float>*> whole{&norm,   &norm_bias,  &score,
                                             &kernel, &score_bias, &row_bias};
  save_adapter(directory / "a", net.slots(), {.dtype = DType::BF16, .parameters = whole});
  const SafetensorsReader file(directory / "a" / adapter_weights_file);
  const auto shape = [&](const std::string& name) {
    CHECK(file.tensor("base_model.model." + name).dtype == DType::BF16);
    return file.tensor("base_model.model." + name).shape;
  };
  CHECK(shape("encoder.wide.lora_A.weight") == Shape{2, 12});
  CHECK(shape("encoder.narrow.lora_B.weight") == Shape{6, 2});
  CHECK(shape("norm.weight") == Shape{4});
  CHECK(shape("norm.bias") == Shape{4});
  CHECK(shape("score.weight") == Shape{1, 4});
  CHECK(shape("score.bias") == Shape{1});
  CHECK(shape("odd.bias") == Shape{1, 4});
  CHECK(shape("conv.weight") == Shape{2, 3, 2, 2});
  CHECK(file.tensors().size() == 10);
  const Matrix<float> before = net.wide.lora_A().value;
  load_adapter(directory / "a", net.slots(), {.parameters = whole});
  CHECK(largest_difference(net.wide.lora_A().value, before) <= 0x1p-8);
}

TEST_CASE("one layer is saved and loaded, whatever its frozen weight is") {
  const TemporaryDirectory directory;
  const std::vector<float> data(12, 1.0F);
  LoRALinear<float, MappedWeight<float>> layer(MappedWeight<float>(data.data(), 3, 4), {.rank = 2},
                                               1);
  layer.set_name("q");
  fill(layer, 5);
  save_adapter(directory / "a", layer);
  const Matrix<float> before = layer.lora_B().value;
  layer.lora_B().value.setZero();
  load_adapter(directory / "a", layer);
  CHECK(same_bits(layer.lora_B().value, before));
}

TEST_CASE("a bias that trains is saved, whoever asked for it") {
  const TemporaryDirectory directory;
  const auto make = [] {
    LoRALinear<float> layer(DenseWeight<float>(Matrix<float>::Ones(3, 4)), {.rank = 2}, 1,
                            Vector<float>::Zero(3));
    layer.set_name("q");
    return layer;
  };
  LoRALinear<float> layer = make(), other = make();
  layer.set_train_bias(true);
  layer.bias().value.setConstant(3);
  save_adapter(directory / "a", layer);
  CHECK(read_peft_config(directory / "a").bias == "lora_only");
  load_adapter(directory / "a", other);
  CHECK(same_bits(other.bias().value, layer.bias().value));
}

TEST_CASE("an adapter that cannot be saved leaves the old one as it was") {
  const TemporaryDirectory directory;
  GoldenNet<float> net({.rank = 2});
  save_adapter(directory.path(), net.slots());
  const std::string config = read_whole(directory / adapter_config_file);
  const std::string weights = read_whole(directory / adapter_weights_file);
  fill(net.wide, 1);
  const auto refused = [&](const AdapterSaveOptions<float>& options, const std::string& why) {
    check_throws<FileError>([&] { save_adapter(directory.path(), net.slots(), options); }, why);
    CHECK(read_whole(directory / adapter_config_file) == config);
    CHECK(read_whole(directory / adapter_weights_file) == weights);
    CHECK(directory.count() == 2);
  };
  refused({.dtype = DType::I8}, "dtype is I8");
  PeftConfig not_utf8;
  not_utf8.base_model_name_or_path = "\xff";
  refused({.config = not_utf8}, "not UTF-8");
  net.wide.lora_A().value(0, 0) = 1e30F;
  refused({.dtype = DType::F16}, "too large for F16");
  Parameter<float> twice("encoder.wide.lora_A.weight", Matrix<float>::Zero(2, 2));
  CHECK_THROWS(save_adapter(directory.path(), net.slots(),
                            {.parameters = std::vector<Parameter<float>*>{&twice}}));
  CHECK(read_whole(directory / adapter_weights_file) == weights);
}

TEST_CASE("settings that did not change are not written again") {
  const TemporaryDirectory directory;
  GoldenNet<float> net({.rank = 2, .alpha = 3});
  save_adapter(directory.path(), net.slots());
  const auto config = directory / adapter_config_file;
  const auto old = std::filesystem::file_time_type::clock::now() - std::chrono::hours(1);
  std::filesystem::last_write_time(config, old);
  const auto stamp = std::filesystem::last_write_time(config);
  fill(net.wide, 1);
  save_adapter(directory.path(), net.slots());
  CHECK(std::filesystem::last_write_time(config) == stamp);
  GoldenNet<float> louder({.rank = 2, .alpha = 4});
  save_adapter(directory.path(), louder.slots());
  CHECK(std::filesystem::last_write_time(config) != stamp);
  CHECK(read_peft_config(directory.path()).lora_alpha == 4);
}

TEST_CASE("an old file that makes way is back unless it was replaced") {
  const TemporaryDirectory directory;
  io::write_file(directory / "f", "old");
  {
    const peft::detail::FileAside aside(directory / "f");
    CHECK_FALSE(std::filesystem::exists(directory / "f"));
    CHECK(directory.count() == 1);
  }
  CHECK(read_whole(directory / "f") == "old");
  peft::detail::FileAside aside(directory / "f"), none(directory / "none");
  io::write_file(directory / "f", "new");
  aside.replaced();
  none.replaced();
  CHECK(read_whole(directory / "f") == "new");
  CHECK(directory.count() == 1);
  {
    peft::detail::FileAside first(directory / "first"), other(directory / "other");
    io::write_file(directory / "first", "without what belongs to it");
    first.placed();
  }
  CHECK_FALSE(std::filesystem::exists(directory / "first"));
  CHECK(directory.count() == 1);
}

TEST_CASE("a directory that cannot be made is an error that names it") {
  const TemporaryDirectory directory;
  write_whole(directory / "file", "x");
  GoldenNet<float> net;
  check_throws<FileError>([&] { save_adapter(directory / "file" / "a", net.slots()); }, "file/a");
  check_throws<FileError>([&] { save_adapter(directory / "file", net.slots()); }, "file");
}

TEST_CASE("a const layer is saved, and a group layer by layer") {
  const TemporaryDirectory directory;
  std::vector<LoRALinear<float>> parts;
  for (const char* name : {"query", "key", "value"}) {
    parts.emplace_back(DenseWeight<float>(random_matrix<float>(4, 3, parts.size())),
                       LoRAConfig{.rank = 2}, 7);
    parts.back().set_name(name);
    fill(parts.back(), 20 + parts.size());
  }
  const LoRALinear<float>& one = parts.front();
  save_adapter(directory / "one", one);
  CHECK(SafetensorsReader(directory / "one" / adapter_weights_file).tensors().size() == 2);

  LoRALinearGroup<float> group(std::move(parts));
  const LoRALinearGroup<float>& constant = group;
  save_adapter(directory / "group", constant);
  const Matrix<float> before = group.part(2).lora_A().value;
  group.part(2).lora_A().value.setZero();
  load_adapter(directory / "group", group);
  CHECK(same_bits(Matrix<float>(group.part(2).lora_A().value), before));
  CHECK(SafetensorsReader(directory / "group" / adapter_weights_file).tensors().size() == 6);
}

TEST_CASE("two parameters of one name are refused with what to call") {
  const TemporaryDirectory directory;
  GoldenNet<float> net;
  Linear<float> unnamed(2, 2, 1), too(2, 2, 2);
  unnamed.set_name("head");
  too.set_name("head");
  check_throws<ConfigError>(
      [&] {
        save_adapter(directory.path(), net.slots(),
                     {.parameters = parameters_of<float>(unnamed, too)});
      },
      "save_adapter: two parameters are called \"head.bias\"");
  CHECK(directory.count() == 0);
}

TEST_CASE(
    "what began with part of its weight is saved for a base that is changed again, or whole") {
  const TemporaryDirectory directory;
  const Matrix<float> w = random_matrix<float>(6, 9, 1);
  const auto make = [&](double alpha) {
    LoRALinear<float> layer(DenseWeight<float>(w), {.rank = 2, .alpha = alpha}, 1);
    layer.set_name("fc");
    return layer;
  };
  auto layer = make(3);
  const auto initial = start_olora(layer);
  layer.lora_B().value += random_matrix<float>(6, 2, 2);
  save_adapter(directory / "olora", layer);
  save_adapter(directory / "plain", PlainAdapter<float>(layer, initial),
               {.config = read_peft_config(directory / "olora")});
  CHECK(read_peft_config(directory / "olora").init_lora_weights == InitLoraWeights("olora"));
  CHECK(read_peft_config(directory / "plain").init_lora_weights == InitLoraWeights(true));

  auto again = make(3), whole = make(3), pissa = make(3), other = make(5);
  start_olora(again);
  load_adapter(directory / "olora", again);
  CHECK(same_bits(again.merged_weight(), layer.merged_weight()));
  load_adapter(directory / "plain", whole);
  CHECK(largest_difference(whole.merged_weight(), layer.merged_weight()) < 1e-5);

  pissa.start_from(olora<float>(w, 2, 1.5), LoRAInit::fast_pissa);  // by its name alone
  start_olora(other);
  auto untouched = make(3);
  check_throws<StateError>([&] { load_adapter(directory / "olora", untouched); },
                           "fc (LoRALinear::replace_adapter): the layer's adapter began with "
                           "kaiming, rank 2, scaling 1.5, and this one with olora");
  check_throws<StateError>([&] { load_adapter(directory / "olora", pissa); },
                           "began with pissa_niter_N");
  check_throws<StateError>([&] { load_adapter(directory / "olora", other); },
                           "began with olora, rank 2, scaling 2.5");
  check_throws<StateError>([&] { load_adapter(directory / "plain", again); },
                           "and this one with kaiming, rank 4");
  check_throws<ConfigError>([&] { save_adapter(directory / "fast", pissa); },
                            "save_adapter: \"fc\" began with pissa_niter_N, and nobody can make");
  check_throws<ConfigError>(
      [&] {
        const AdaptedLayerView<float> both[] = {again, untouched};
        untouched.set_name("other");
        save_adapter(directory / "both", std::span<const AdaptedLayerView<float>>(both));
      },
      "save_adapter: \"other\" began with kaiming and \"fc\" with olora");
}
