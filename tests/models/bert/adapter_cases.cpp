// Adapters as they come from other people's programs: tests/golden/cases.
#include <string>

#include <lora/io/safetensors/safetensors_writer.hpp>
#include <lora/models.hpp>

#include "support/catch.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"

using namespace lora;
using lora::test::check_throws;

namespace {

const std::filesystem::path cases = std::filesystem::path(LORA_GOLDEN_DIR) / "cases";

// The logits of [2 5 6 3] with that adapter.
Matrix<float> logits_with(const std::string& adapter) {
  const auto directory = cases / adapter;
  models::BertForSequenceClassification<float> model(cases / "base/seq",
                                                     {.tuning = peft::read_peft_config(directory)});
  model.load_adapter(directory);
  text::TokenBatch tokens{Matrix<int>(1, 4), Matrix<int>::Zero(1, 4), Matrix<int>::Ones(1, 4)};
  tokens.ids << 2, 5, 6, 3;
  Matrix<float> logits;
  model.forward(tokens, logits);
  return logits;
}

// Values of peft 0.21.2, to the digits that it was asked for.
void check_logits(const std::string& adapter, double first, double second) {
  CAPTURE(adapter);
  const Matrix<float> logits = logits_with(adapter);
  CHECK(logits(0, 0) == Approx(first).margin(2e-6));
  CHECK(logits(0, 1) == Approx(second).margin(2e-6));
}

}  // namespace

TEST_CASE("patterns with lookarounds select what Python selects") {
  for (const char* name : {"swift-style", "swift-old", "unsloth-style"})
    check_logits(std::string("lookahead-pattern/") + name, 0.071577, -0.206360);
}

TEST_CASE("settings as people write them load as those that PEFT writes") {
  for (const char* name : {"good", "alora-empty", "dup-key", "init-null", "layer-replication-empty",
                           "other-nan", "rslora-null", "more-targets", "fewer-targets"})
    check_logits(std::string("config-variants/") + name, 0.084332, -0.188744);
  check_throws<FileError>([] { logits_with("config-variants/bom"); },
                          "adapter_config.json: begins with a byte order mark");
}

TEST_CASE("tensors whose names PEFT knows load, and others are refused by theirs") {
  check_logits("key-names/adapter-name-inside", 0.071577, -0.206360);
  for (const char* other : {"module-front", "modules-to-save-default", "modules-to-save-inside",
                            "no-prefix", "orig-mod-front", "orig-mod-inside"}) {
    CAPTURE(other);
    check_throws<FileError>([&] { logits_with(std::string("key-names/") + other); },
                            "tensor \"base_model.model.classifier.");
  }
  check_throws<FileError>([] { logits_with("key-names/orig-mod-front"); },
                          "the file has \"_orig_mod.base_model.model.bert.");
}

TEST_CASE("a copy of the base's embedding is accepted, and another embedding named") {
  check_logits("saved-embedding/adapter", 0.071577, -0.206360);
  const test::TemporaryDirectory directory;
  const auto golden = cases / "saved-embedding/adapter";
  std::filesystem::copy(golden / "adapter_config.json", directory / "adapter_config.json");
  std::vector<io::Tensor> tensors;
  const io::SafetensorsReader file(golden / "adapter_model.safetensors");
  for (const auto& [name, view] : file.tensors()) {
    tensors.push_back({name, view.dtype, view.shape, {view.bytes.begin(), view.bytes.end()}});
    if (name.ends_with("word_embeddings.weight")) tensors.back().bytes[0] ^= std::byte{1};
  }
  io::write_safetensors(directory / "adapter_model.safetensors", std::move(tensors));
  check_throws<FileError>([&] { logits_with(directory.path().string()); },
                          "word_embeddings.weight\" is stored beside the adapter");
}

TEST_CASE("a Git LFS pointer says so, in a model and in an adapter") {
  const std::string says = "is a Git LFS pointer, not the file itself: run `git lfs pull`";
  check_throws<FileError>([] { logits_with("lfs-pointer/adapter"); },
                          "adapter_model.safetensors: " + std::string("is a Git LFS pointer"));
  check_throws<FileError>(
      [] { models::BertForSequenceClassification<float> model(cases / "lfs-pointer/model"); },
      "model.safetensors: " + says);
}
