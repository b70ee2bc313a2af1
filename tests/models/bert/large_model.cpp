// A model of BERT-base's size, loaded and used without a copy of its weights.
#include <optional>

#include <lora/frozen/mapped_weight.hpp>

#include "models/bert/hollow_bert.hpp"
#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/resident_bytes.hpp"
#include "support/temporary_directory.hpp"

using namespace lora;

TEST_CASE("a frozen model of 400 MB is loaded and used where it lies, without a copy") {
  const test::TemporaryDirectory directory;
  test::write_hollow_bert(directory.path(), {});
  const auto bytes = std::filesystem::file_size(directory / "model.safetensors");
  REQUIRE(bytes > 400'000'000);

  // With adapters, and what trains them: as it is loaded to be adapted.
  peft::PeftConfig lora;
  lora.target_modules = std::vector<std::string>{"query", "value"};
  std::optional<models::BertModel<float, MappedWeight<float>>> model;
  const test::ResidentBytes before = test::resident_bytes();
  const auto taken =
      test::allocations_of([&] { model.emplace(directory.path(), models::BertOptions{lora}); });
  const test::ResidentBytes loaded = test::resident_bytes();
  CHECK(static_cast<std::size_t>(model->total_parameters()) * sizeof(float) > bytes * 99 / 100);
  CHECK(taken.bytes < bytes / 50);
  // Nothing of the weights is in memory yet. A sanitizer's own notes on it are, and are the
  // process's own.
  CHECK(loaded.own < before.own + bytes / 4);
  CHECK(loaded.of_files < before.of_files + bytes / 20);

  // What is computed with is read from the file's pages, and stays there.
  const text::TokenBatch batch{Matrix<int>::Ones(1, 4), Matrix<int>::Zero(1, 4),
                               Matrix<int>::Ones(1, 4)};
  Matrix<float> hidden;
  const auto working = test::allocations_of([&] { model->forward(batch, hidden); });
  const test::ResidentBytes used = test::resident_bytes();
  CHECK(hidden.isZero());
  CHECK(working.bytes < bytes / 50);
  CHECK(used.own < before.own + bytes / 4);
  const auto encoder = static_cast<std::size_t>(12 * (4 * 768 * 768 + 2 * 768 * 3072)) * 4;
  CHECK((used.own == 0 || used.of_files > loaded.of_files + encoder * 9 / 10));
}
