// The program bert_sentiment, killed between and within its epochs, and told to go on.
#include <chrono>
#include <csignal>
#include <thread>

#include <lora/peft/adapter_files.hpp>
#include <lora/random/random.hpp>

#include "examples/bert_sentiment/tiny_task.hpp"
#include "support/catch.hpp"
#include "support/process.hpp"
#include "support/whole_file.hpp"

namespace {

// The task, and the program at work on it.
class Program {
 public:
  lora::test::Process start(const std::string& out, bool resume) const {
    const auto& options = task_.options;
    std::vector<std::string> arguments{"--model",  options.model, "--data",     options.data,
                                       "--out",    folder(out),   "--rank",     "4",
                                       "--epochs", "60",          "--patience", "60",
                                       "--batch",  "8",           "--threads",  "1"};
    if (resume) arguments.emplace_back("--resume");
    return {LORA_BERT_SENTIMENT, std::move(arguments), folder(out + ".log")};
  }

  [[nodiscard]] std::string folder(const std::string& out) const { return (task_ / out).string(); }

  // Returns the bytes of a file of that run, or nothing where there is none.
  [[nodiscard]] std::string file(const std::string& out, const std::string& name) const {
    const auto path = task_ / out / name;
    return std::filesystem::exists(path) ? lora::test::read_whole(path) : "";
  }

 private:
  lora::test::TinyTask task_;
};

constexpr const char* checkpoint_file = "checkpoint.safetensors";

}  // namespace

TEST_CASE(
    "bert_sentiment, killed after some epochs, goes on to the adapter of a run without break") {
  const Program program;
  CHECK(program.start("straight", false).wait() == 0);

  const lora::Random random(1);
  int killed = 0;
  for (std::uint64_t round = 0; round < 4; ++round) {
    const std::string before = program.file("broken", checkpoint_file);
    lora::test::Process run = program.start("broken", !before.empty());
    // Until it has ended another epoch; then anywhere within the next few.
    for (int i = 0; i < 100'000 && program.file("broken", checkpoint_file) == before; ++i)
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    CHECK(program.file("broken", checkpoint_file) != before);
    std::this_thread::sleep_for(std::chrono::microseconds(random.below(20'000, 0, round)));
    run.kill();
    killed += run.wait() == SIGKILL;
  }
  CHECK(killed > 0);
  CHECK(program.start("broken", true).wait() == 0);

  const auto same = [&](const std::string& name) {
    CAPTURE(name);
    const std::string expected = program.file("straight", name);
    CHECK(!expected.empty());
    CHECK(program.file("broken", name) == expected);
  };
  same(std::string("adapter/") + lora::peft::adapter_weights_file);
  same(std::string("adapter/") + lora::peft::adapter_config_file);
  same(checkpoint_file);
}
