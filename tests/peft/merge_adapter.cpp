#include <lora/peft/merge_adapter.hpp>

#include "peft/small_adapter.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"
#include "support/whole_file.hpp"

using namespace lora;
using namespace lora::peft;
using namespace lora::test;

namespace {

// A base model of two shards for small_adapter, whose names lack "model.".
struct ShardedBase {
  ShardedBase() {
    io::write_safetensors(directory / "model-1.safetensors",
                          {io::make_tensor("block.q.weight", q, io::DType::BF16),
                           io::make_tensor("block.q.bias", Matrix<float>::Zero(1, 4), {4})});
    io::write_safetensors(directory / "model-2.safetensors",
                          {io::make_tensor("block.v.weight", v)});
    io::write_file(directory / "model.safetensors.index.json",
                   R"({"weight_map": {"block.q.weight": "model-1.safetensors",
                   "block.q.bias": "model-1.safetensors", "block.v.weight": "model-2.safetensors"}})");
    io::write_file(directory / "config.json", "{}");
    io::write_file(directory / "pytorch_model.bin", "old");
  }

  Matrix<float> q = random_matrix<float>(4, 6, 31), v = random_matrix<float>(5, 6, 32);
  TemporaryDirectory directory;
};

}  // namespace

TEST_CASE("a merged model has the base's shards, settings and dtypes") {
  const ShardedBase base;
  auto adapter = small_adapter(2, 4, 1);
  adapter.others["block.q.base_layer.bias"] = {Matrix<float>::Ones(1, 4), {4}};
  adapter.others["head.weight"] = {Matrix<float>::Ones(2, 6), {2, 6}};
  const TemporaryDirectory out;
  std::size_t told = 0;
  const auto report = merge_adapter(
      base.directory.path(), adapter, out / "merged",
      {.progress = [&](const std::string&, std::size_t, std::size_t count) { told += count; }});
  CHECK(told == 16);
  CHECK(report.merged == std::vector<std::string>{"block.q.weight", "block.v.weight"});
  CHECK(report.replaced == std::vector<std::string>{"block.q.bias"});
  CHECK(report.added == std::vector<std::string>{"head.weight"});
  CHECK(read_whole(out / "merged" / "config.json") == "{}");
  CHECK_FALSE(std::filesystem::exists(out / "merged" / "pytorch_model.bin"));
  io::ModelReader merged(out / "merged");
  CHECK(merged.tensors().at("block.v.weight") == "model-2.safetensors");
  CHECK(merged.tensors().at("head.weight") == "model-2.safetensors");
  CHECK(merged.tensor("block.q.weight").dtype == io::DType::BF16);
  CHECK(largest_difference(merged.read<float>("block.v.weight"),
                           base.v + adapter.modules.at("block.v").delta()) < 1e-6);
  CHECK(largest_difference(merged.read<float>("block.q.weight"),
                           base.q + adapter.modules.at("block.q").delta()) < 0.05);
  CHECK(merged.read<float>("block.q.bias").isOnes(0));

  // Taken out again.
  check_throws<ConfigError>(
      [&] {
        static_cast<void>(merge_adapter(out / "merged", adapter, out / "again", {.weight = -1}));
      },
      "tensors that are stored whole, as \"block.q.base_layer.bias\", cannot be weighted");
  adapter.others.clear();
  static_cast<void>(merge_adapter(out / "merged", adapter, out / "again", {.weight = -1}));
  io::ModelReader again(out / "again");
  CHECK(largest_difference(again.read<float>("block.v.weight"), base.v) < 1e-6);
}

TEST_CASE("names with one more part in front, embeddings and (in, out) weights find their places") {
  const TemporaryDirectory directory;
  const Matrix<float> weight = random_matrix<float>(6, 4, 3);
  io::make_directory(directory / "base");
  const auto check = [&](const std::string& stored, const AdapterValues<float>& adapter,
                         const std::string& out) {
    io::write_safetensors(directory / "base" / "model.safetensors",
                          {io::make_tensor(stored, weight)});
    static_cast<void>(merge_adapter(directory / "base", adapter, directory / out));
    io::ModelReader merged(directory / out);
    CHECK_FALSE(std::filesystem::exists(directory / out / "model.safetensors.index.json"));
    CHECK(largest_difference(merged.read<float>(stored),
                             weight + adapter.modules.begin()->second.delta().transpose()) < 1e-6);
  };
  AdapterValues<float> adapter;
  adapter.modules.emplace("transformer.h.c", small_factors(4, 2, 6, 4, 1));
  adapter.config.other["fan_in_fan_out"] = "true";
  check("h.c.weight", adapter, "shorter");
  adapter.config.other.clear();
  io::write_file(directory / "base" / "config.json", R"({"model_type": "gpt2"})");
  check("h.c.weight", adapter, "by_type");
  check("model.transformer.h.c.weight", adapter, "longer");
  std::filesystem::remove(directory / "base" / "config.json");
  adapter.modules.begin()->second.is_embedding = true;
  check("transformer.h.c.weight", adapter, "embedding");
  io::write_file(directory / "base" / "config.json", R"({"architectures": ["GPT2LMHeadModel"]})");
  check_throws<FileError>([&] { check("transformer.h.c.weight", adapter, "tied"); },
                          "\"transformer.h.c.weight\" is the head too");
}

TEST_CASE("with DoRA a merged weight's outputs have the lengths of the magnitudes") {
  const ShardedBase base;
  const TemporaryDirectory out;
  auto adapter = small_adapter(2, 4, 1);
  adapter.config.use_dora = true;
  for (auto& [name, factors] : adapter.modules) {
    const Index rows = factors.b.value.rows();
    factors.magnitude = StoredTensor<float>{Matrix<float>::Constant(1, rows, 2), {rows}};
  }
  const auto merge = [&](const std::string& name, const MergeOptions& options) {
    static_cast<void>(merge_adapter(base.directory.path(), adapter, out / name, options));
  };
  merge("merged", {});
  io::ModelReader merged(out / "merged");
  const Matrix<float> sum = base.v + adapter.modules.at("block.v").delta();
  const Matrix<float> expected = 2 * sum.rowwise().norm().cwiseInverse().asDiagonal() * sum;
  CHECK(largest_difference(merged.read<float>("block.v.weight"), expected) < 1e-6);
  check_throws<ConfigError>([&] { merge("half", {.weight = 0.5}); }, "magnitudes");
  adapter.modules.at("block.v").magnitude->value.resize(1, 4);
  check_throws<ShapeError>([&] { merge("other", {}); }, "the adapter's magnitudes are of shape");
}

TEST_CASE("rows that train take the places of the base's, in its dtype") {
  const TemporaryDirectory base, out;
  const Matrix<float> table = random_matrix<float>(7, 4, 41), q = random_matrix<float>(4, 6, 31),
                      v = random_matrix<float>(5, 6, 32);
  io::write_safetensors(
      base / "model.safetensors",
      {io::make_tensor("wte.weight", table, io::DType::BF16), io::make_tensor("block.q.weight", q),
       io::make_tensor("block.v.weight", v)});
  io::write_file(base / "config.json", "{}");
  auto adapter = small_adapter(2, 4, 1);
  const Matrix<float> rows = random_matrix<float>(2, 4, 42);
  adapter.config.trainable_token_indices = {{"wte", {5, 1}}};
  auto& stored = adapter.others["model.wte.token_adapter.trainable_tokens_delta"];
  stored = {rows, {2, 4}};
  const auto report = merge_adapter(base.path(), adapter, out / "merged");
  CHECK(report.merged ==
        std::vector<std::string>{"block.q.weight", "block.v.weight", "wte.weight"});
  CHECK(report.added.empty());
  io::ModelReader merged(out / "merged"), before(base.path());
  Matrix<float> expected = before.read<float>("wte.weight");
  CHECK(merged.tensor("wte.weight").dtype == io::DType::BF16);
  CHECK(largest_difference(merged.read<float>("wte.weight").row(5), rows.row(0)) < 0.02);
  expected.row(5) = merged.read<float>("wte.weight").row(5);
  CHECK(largest_difference(merged.read<float>("wte.weight").row(1), rows.row(1)) < 0.02);
  expected.row(1) = merged.read<float>("wte.weight").row(1);
  CHECK(merged.read<float>("wte.weight") == expected);

  adapter.config.trainable_token_indices = {{"", {5, 7}}};
  const auto refused = [&](const char* what) {
    try {
      static_cast<void>(merge_adapter(base.path(), adapter, out / "refused"));
      FAIL("nothing was thrown");
    } catch (const std::exception& error) {
      CHECK(std::string(error.what()).find(what) != std::string::npos);
    }
  };
  refused("the adapter has its row 7");
  adapter.config.trainable_token_indices = {{"", {5}}};
  refused("the adapter has 1 rows of it as (2, 4)");
  adapter.config.trainable_token_indices = {{"", {5, 5}}};
  refused("the trainable_token_indices of \"model.wte\" have 5 twice");
  adapter.config.trainable_token_indices = {{"", {5, 1}}};
  adapter.others["wte.token_adapter.trainable_tokens_delta"] = {rows, {2, 4}};
  refused("rows of \"wte.weight\" under two names");
  adapter.config.trainable_token_indices = {};
  refused("trainable_token_indices does not say which rows these are");
  CHECK_FALSE(std::filesystem::exists(out / "refused"));
}

TEST_CASE("rows that train are those of a tied head that the files have once more") {
  const TemporaryDirectory base, out;
  const Matrix<float> table = random_matrix<float>(7, 4, 41), rows = random_matrix<float>(1, 4, 42);
  const auto write = [&](const Matrix<float>& head, const char* config) {
    io::write_safetensors(base / "model.safetensors",
                          {io::make_tensor("model.embed_tokens.weight", table),
                           io::make_tensor("model.positions.weight", table),
                           io::make_tensor("lm_head.weight", head)});
    io::write_file(base / "config.json", config);
  };
  AdapterValues<float> adapter;
  adapter.config.trainable_token_indices = {{"embed_tokens", {5}}};
  adapter.others["model.embed_tokens.token_adapter.trainable_tokens_delta"] = {rows, {1, 4}};
  int merges = 0;
  const auto is_in_head = [&] {
    const auto to = out / std::to_string(++merges);
    static_cast<void>(merge_adapter(base.path(), adapter, to));
    io::ModelReader merged(to);
    CHECK(merged.read<float>("model.embed_tokens.weight").row(5) == rows);
    CHECK(merged.read<float>("model.positions.weight") == table);
    return merged.read<float>("lm_head.weight").row(5) == rows;
  };
  write(table, "{}");
  CHECK(is_in_head());
  write(table, R"({"tie_word_embeddings": false})");
  CHECK_FALSE(is_in_head());
  write(2 * table, "{}");
  CHECK_FALSE(is_in_head());
  write(2 * table, R"({"model_type": "gpt2"})");
  CHECK(is_in_head());
  write(2 * table, R"({"tie_word_embeddings": true})");
  CHECK(is_in_head());
  // Rows of its own stay its own.
  adapter.config.trainable_token_indices["lm_head"] = {5};
  adapter.others["lm_head.token_adapter.trainable_tokens_delta"] = {2 * rows, {1, 4}};
  CHECK_FALSE(is_in_head());
}

TEST_CASE("embeddings that are stored whole do not become the head of a tied base") {
  const TemporaryDirectory base, out;
  const Matrix<float> table = random_matrix<float>(7, 4, 41);
  io::write_safetensors(base / "model.safetensors",
                        {io::make_tensor("model.embed_tokens.weight", table)});
  io::write_file(base / "config.json", R"({"architectures": ["LlamaForCausalLM"]})");
  AdapterValues<float> adapter;
  adapter.others["model.embed_tokens.weight"] = {2 * table, {7, 4}};
  check_throws<FileError>(
      [&] { static_cast<void>(merge_adapter(base.path(), adapter, out / "tied")); },
      "stores \"model.embed_tokens.weight\" whole, which is the head too");
  adapter.others["lm_head.weight"] = {table, {7, 4}};
  static_cast<void>(merge_adapter(base.path(), adapter, out / "both"));
  CHECK(io::ModelReader(out / "both").read<float>("lm_head.weight") == table);
}

TEST_CASE("an adapter of another model is refused, and nothing is written") {
  const ShardedBase base;
  const TemporaryDirectory out;
  const auto refused = [&](auto error, const auto& change, const std::string& why) {
    auto adapter = small_adapter(2, 4, 1);
    change(adapter);
    check_throws<decltype(error)>(
        [&] { merge_adapter(base.directory.path(), adapter, out / "merged"); }, why);
    CHECK(std::filesystem::is_empty(out.path()));
  };
  refused(
      FileError(""),
      [](auto& adapter) { adapter.modules.emplace("block.k", small_factors(4, 2, 6, 4, 1)); },
      "has no weight of \"block.k\"");
  refused(
      ShapeError(""),
      [](auto& adapter) { adapter.modules.at("block.v") = small_factors(5, 2, 7, 4, 1); },
      "\"block.v.weight\" is of shape (5, 6) in the base model, and the adapter's factors are A "
      "(2, 7)");
  refused(
      FileError(""), [](auto& adapter) { adapter.others["block.q.lora_magnitude_vector"] = {}; },
      "\"block.q.lora_magnitude_vector\" has no place");
  refused(
      ShapeError(""),
      [](auto& adapter) {
        adapter.others["block.q.bias"] = {Matrix<float>::Ones(1, 3), {3}};
      },
      "\"block.q.bias\" is of shape (4,) in the base model, and the adapter stores it as (3,)");
  refused(
      FileError(""), [](auto& adapter) { adapter.modules.at("block.v").config.alpha = 1e39; },
      "block.v.weight");
  refused(
      ConfigError(""), [](auto& adapter) { adapter.config.init_lora_weights = "olora"; },
      "merge_adapter: the adapter began with olora, so it belongs to a changed base");
  refused(
      ConfigError(""),
      [](auto& adapter) {
        adapter.config.layer_replication = {{0, 1}};
      },
      "layer_replication");
  refused(
      ConfigError(""), [](auto& adapter) { adapter.config.alora_invocation_tokens = {1}; },
      "alora_invocation_tokens");
  std::filesystem::create_directory(out / "merged");
  io::write_file(out / "merged" / "mine", "");
  check_throws<FileError>(
      [&] { merge_adapter(base.directory.path(), small_adapter(2, 4, 1), out / "merged"); },
      "is there already");
}
