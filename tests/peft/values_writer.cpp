#include <lora/peft/values_writer.hpp>

#include <thread>

#include "peft/golden_net.hpp"
#include "peft/small_adapter.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"
#include "support/whole_file.hpp"

using namespace lora;
using namespace lora::peft;
using namespace lora::test;

TEST_CASE("an adapter that PEFT wrote is the same bytes of weights after reading and saving") {
  const TemporaryDirectory directory;
  for (const std::string name : {"patterns", "modules_to_save"}) {
    const auto golden = GoldenNet<float>::adapters() / name;
    save_adapter(directory / name, read_adapter<float>(golden));
    CHECK(read_whole(directory / name / adapter_weights_file) ==
          read_whole(golden / adapter_weights_file));
    CHECK(read_peft_config(directory / name).r == read_peft_config(golden).r);
  }
}

TEST_CASE("embeddings keep their names, and numbers become the dtype") {
  auto adapter = small_adapter(2, 4, 1);
  adapter.modules.at("block.v").is_embedding = true;
  const TemporaryDirectory directory;
  save_adapter(directory.path(), adapter, io::DType::BF16);
  AdapterWeights weights(directory.path());
  CHECK(weights.contains("block.v.lora_embedding_A"));
  CHECK(weights.contains("block.q.lora_B.weight"));
  const auto read = read_adapter<float>(directory.path());
  CHECK(read.modules.at("block.v").is_embedding);
  CHECK_FALSE(read.modules.at("block.q").is_embedding);
  CHECK(largest_difference(read.modules.at("block.q").delta(),
                           adapter.modules.at("block.q").delta()) < 0.1);
}

TEST_CASE("settings that are not so of the factors are refused, and nothing is written") {
  const TemporaryDirectory directory;
  const auto refused = [&](const auto& change, const std::string& why) {
    auto adapter = small_adapter(2, 4, 1);
    change(adapter);
    check_throws<ConfigError>([&] { save_adapter(directory / "new", adapter); }, why);
    CHECK_FALSE(std::filesystem::exists(directory / "new"));
  };
  refused([](auto& adapter) { adapter.config.r = 3; },
          "the settings give \"block.q\" rank 3 and scaling 1.33333, its factors 2 and 2");
  refused([](auto& adapter) { adapter.config.use_rslora = true; }, "and scaling 2.8");
  refused([](auto& adapter) { adapter.config.target_modules = "block.q"; },
          "target_modules does not select \"block.v\"");
  refused([](auto& adapter) { adapter.modules.clear(); }, "has no adapted module");
  auto adapter = small_adapter(2, 4, 1);
  adapter.modules.at("block.q").a.value.resize(3, 6);
  check_throws<ShapeError>([&] { save_adapter(directory / "new", adapter); },
                           "A and B of \"block.q\" are (3, 6) and (4, 2), expected the rank 2");
}

TEST_CASE("of two that save to one directory at once each writes both files or neither",
          "[threads]") {
  const TemporaryDirectory directory;
  const auto one = small_adapter(2, 4, 1), two = small_adapter(2, 6, 9);
  for (int round = 0; round < 20; ++round) {
    std::thread other([&] { save_adapter(directory.path(), two); });
    save_adapter(directory.path(), one);
    other.join();
    const auto read = read_adapter<float>(directory.path());
    const auto& expected = read.config.lora_alpha == 4 ? one : two;
    CHECK(read.modules.at("block.q").config == expected.modules.at("block.q").config);
    CHECK(same_bits(read.modules.at("block.v").b.value, expected.modules.at("block.v").b.value));
    CHECK(directory.count() == 2);
  }
}
