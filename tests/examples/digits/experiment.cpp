#include "examples/digits/experiment.hpp"

#include <unistd.h>

#include <filesystem>
#include <sstream>

#include "examples/digits/report.hpp"
#include "examples/digits/tune.hpp"
#include "support/catch.hpp"
#include "support/random_matrix.hpp"

using namespace digits;
using Catch::Matchers::ContainsSubstring;
namespace fs = std::filesystem;

namespace {

// Options of a run that takes a second or so, in a directory of its own that is gone at the end.
class SmallRun {
 public:
  SmallRun() {
    options.ranks = {2, 8};
    options.epochs = 4;
    options.hidden = 64;
    options.base_learning_rate = 5e-3;
    options.out = (fs::temp_directory_path() / lora::message("lora-digits-", ::getpid())).string();
  }
  SmallRun(const SmallRun&) = delete;
  SmallRun& operator=(const SmallRun&) = delete;
  ~SmallRun() { fs::remove_all(options.out); }

  Options options;
};

}  // namespace

TEST_CASE("a run keeps what must hold of every method") {
  SmallRun run;
  run.options.dropout = 0.1;
  std::ostringstream quiet;
  examples::ProgressBar progress(quiet, false, "", 1);
  const SeedResults results = run_seed(run.options, 1, progress);
  REQUIRE(results.rows.size() == 5);
  const Result &base = results.rows[0], &full = results.rows[1], &head = results.rows[2],
               &rank2 = results.rows[3], &rank8 = results.rows[4];
  CHECK(rank8.method == "LoRA, rank 8");

  // A guess would be right for one in five.
  CHECK(base.old_off.value() > 60);
  for (const Result* each : {&full, &rank2, &rank8}) CHECK(each->new_task.value() > 60);

  // The old task: whole with the adapter off, gone to some degree where weights have changed.
  CHECK(rank2.old_off == base.old_off);
  CHECK(rank8.old_off == base.old_off);
  CHECK(head.old_on == base.old_off);
  CHECK_FALSE(full.old_off.has_value());
  CHECK(results.agreement.loaded_is_saved);
  CHECK(results.agreement.off_is_base);
  CHECK(results.agreement.unmerged_is_base);
  CHECK(results.agreement.holds(run.options.hidden));
  CHECK(results.agreement.merged_answers_changed == 0);
  CHECK(results.agreement.images > 400);  // twice the test images of one task

  // W and b of three layers; A and B of two, and the head.
  CHECK(full.trainable == 64 * 64 + 64 + 64 * 64 + 64 + 5 * 64 + 5);
  CHECK(head.trainable == 5 * 64 + 5);
  CHECK(rank8.trainable == 8 * (64 + 64) + 8 * (64 + 64) + 5 * 64 + 5);
  CHECK(rank2.cost.bytes < rank8.cost.bytes);
  CHECK(rank8.cost.bytes < full.cost.bytes);
  for (const Result& row : results.rows) {
    CHECK(row.stored > static_cast<std::uintmax_t>(row.trainable) * sizeof(float));
    CHECK(row.stored < static_cast<std::uintmax_t>(row.trainable) * sizeof(float) + 4096);
  }
  CHECK(fs::exists(fs::path(run.options.out) / "lora-r8" / "adapter_config.json"));
  // As torch.nn.Linear has them.
  const lora::io::SafetensorsReader file(fs::path(run.options.out) / "base/model.safetensors");
  CHECK(file.tensor("fc2.weight").shape == lora::io::Shape{64, 64});
  CHECK(file.tensor("head.bias").shape == lora::io::Shape{5});

  // The same seed gives the same results.
  const SeedResults again = run_seed(run.options, 1, progress);
  for (std::size_t i = 0; i < results.rows.size(); ++i) {
    CHECK(again.rows[i].new_task == results.rows[i].new_task);
    CHECK(again.rows[i].old_on == results.rows[i].old_on);
  }
}

TEST_CASE("with the program's own settings LoRA at rank 8 trains under 15 % of the parameters") {
  const Options options;
  const Base<float> base = freeze(new_network<float>(64, options.hidden, 5, 1));
  const auto head = new_head(base, 5, 1);
  auto full = full_network(base, head);
  auto adapted = lora_network(base, head, options.lora_config(8), 1);
  CHECK(static_cast<double>(lora::count_parameters(adapted.parameters())) <
        0.15 * static_cast<double>(lora::count_parameters(full.parameters())));
}

TEST_CASE("the comparison finds what does not agree") {
  const SmallRun run;
  const Base<float> base = freeze(new_network<float>(64, 16, 5, 1));
  auto adapted = lora_network(base, new_head(base, 5, 1), {.rank = 2, .alpha = 3}, 1);
  adapted.fc1.lora_B().value = lora::test::random_matrix<float>(16, 2, 1);
  const lora::Matrix<float> x = lora::test::random_matrix<float>(20, 64, 2);
  save(run.options.out, adapted);
  const Agreement good = compare(base, adapted, run.options.out, x, x);
  CHECK(good.holds(16));
  CHECK(good.images == 20);

  // The network goes on, the files do not: both comparisons with the files must see it.
  adapted.fc1.lora_B().value *= 2;
  const Agreement stale = compare(base, adapted, run.options.out, x, x);
  CHECK_FALSE(stale.loaded_is_saved);
  CHECK(stale.merged_difference > 1e-3);
  CHECK_FALSE(stale.holds(16));

  // Another base: what is switched off is no longer the base.
  Base<float> other = base;
  other.fc2.weight *= 2;
  save(run.options.out, adapted);
  CHECK_FALSE(compare(other, adapted, run.options.out, x, x).off_is_base);

  std::ostringstream out;
  CHECK_FALSE(print_agreement({{{}, stale}}, run.options, out));
  CHECK_THAT(out.str(),
             ContainsSubstring("NOT THE SAME") && ContainsSubstring("not as it must be"));
  CHECK(print_agreement({{{}, good}}, run.options, out));
}

TEST_CASE("a stored head comes back with its adapters, and other shapes are refused") {
  const SmallRun run;
  const Base<float> base = freeze(new_network<float>(64, 16, 5, 1));
  auto adapted = lora_network(base, new_head(base, 5, 1), {.rank = 2}, 1);
  save(run.options.out, adapted);
  auto other = mergeable_lora_network(base, new_head(base, 5, 9), {.rank = 7}, 9);
  CHECK_FALSE(same(other.head.weight().value, adapted.head.weight().value));
  load(run.options.out, other);
  CHECK(same(other.head.weight().value, adapted.head.weight().value));
  CHECK(other.fc1.rank() == 2);
  auto ten = mergeable_lora_network(base, new_head(base, 10, 9), {.rank = 7}, 9);
  CHECK_THROWS_AS(load(run.options.out, ten), lora::FileError);
}

TEST_CASE("the table shows means, spreads and what there is none of") {
  const auto seed = [](double points) {
    SeedResults results;
    results.rows = {{"base", 1000, {}, 99.0, {}, {0.5, 2048}, 4000},
                    {"full", 1000, 90 + points, {}, 50.0, {0.25, 2048}, 4000},
                    {"LoRA, rank 8", 100, 89.0, 99.0, 70.0, {0.125, 1024}, 400}};
    return results;
  };
  std::ostringstream out;
  print_table({seed(0), seed(2)}, out);
  CHECK_THAT(
      out.str(),
      ContainsSubstring(
          "method        trainable  of full   new task %   old %, off    old %, on  seconds  peak "
          "KiB  stored bytes\n") &&
          ContainsSubstring(
              "full              1,000  100.0 %  91.0 +- 1.4            -  50.0 +- 0.0     "
              "0.25         2         4,000\n") &&
          ContainsSubstring(
              "LoRA, rank 8        100   10.0 %  89.0 +- 0.0  99.0 +- 0.0  70.0 +- 0.0") &&
          ContainsSubstring("Means over 2 seeds"));
  out.str("");
  print_comparison({seed(0), seed(2)}, out);
  CHECK_THAT(out.str(), ContainsSubstring("LoRA, rank 8      -2.0 +- 1.4\n"));
}

TEST_CASE("tuning shows every method at every rate") {
  SmallRun run;
  run.options.epochs = 1;
  run.options.hidden = 8;
  run.options.ranks = {1};
  std::ostringstream out, errors;
  tune(run.options, out, errors);
  for (const char* text : {"0.0010", "0.5000", "full fine-tuning", "new head alone", "LoRA, rank 1",
                           "LoRA, mean of ranks"})
    CHECK_THAT(out.str(), ContainsSubstring(text));
  CHECK_FALSE(fs::exists(run.options.out));
}
