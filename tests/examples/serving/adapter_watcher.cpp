#include "examples/serving/adapter_watcher.hpp"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "examples/serving/tiny_adapters.hpp"
#include "support/catch.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"

using namespace serving;
using namespace lora::test;

namespace {

using Names = std::vector<std::string>;

// A folder of adapters "a" and "b", and what watches it.
struct Watched {
  Watched() {
    write("a", 1);
    write("b", 2);
  }

  void write(const std::string& name, lora::Index rank) const {
    lora::peft::save_adapter(folder / name, small_adapter(rank, 4, 1));
  }

  // Returns what is reported of a look.
  std::string look(AdapterWatcher& watcher) {
    report.str("");
    watcher.look();
    return report.str();
  }

  TemporaryDirectory folder;
  SmallRegistry layers;
  AdapterStore store{layers.registry};
  std::ostringstream report;
};

}  // namespace

TEST_CASE("adapters come, change and go as their folders do, once these are settled") {
  Watched all;
  AdapterWatcher watcher({{}, all.folder.path()}, all.store, all.report);
  CHECK(all.report.str().find("adapter \"a\" added: 2 modules, rank 1\n") != std::string::npos);
  CHECK(all.store.names() == Names{"a", "b"});
  CHECK(all.look(watcher).empty());

  all.write("c", 3);
  all.write("a", 2);
  std::filesystem::remove_all(all.folder / "b");
  CHECK(all.look(watcher) == "adapter \"b\" removed\n");
  CHECK(all.look(watcher) ==
        "adapter \"a\" replaced: 2 modules, rank 2\nadapter \"c\" added: 2 modules, rank 3\n");
  CHECK(all.look(watcher).empty());
  CHECK(all.store.names() == Names{"a", "c"});

  all.report.str("");
  watcher.reload();
  CHECK(all.report.str().find("adapter \"c\" replaced") != std::string::npos);
}

TEST_CASE("a broken adapter is reported once, and the one before it stays") {
  Watched all;
  AdapterWatcher watcher({{}, all.folder.path()}, all.store, all.report);
  const std::string before = *all.store.find("a");
  std::ofstream(all.folder / "a" / "adapter_model.safetensors") << "nothing";
  CHECK(all.look(watcher).empty());
  const std::string said = all.look(watcher);
  CAPTURE(said);
  CHECK(said.starts_with("adapter \"a\" not loaded, the one before it stays: "));
  CHECK(said.find("adapter_model.safetensors") != std::string::npos);
  CHECK(all.look(watcher).empty());
  CHECK(*all.store.find("a") == before);
  all.write("a", 2);
  all.look(watcher);
  CHECK(all.look(watcher).find("replaced") != std::string::npos);
}

TEST_CASE("named folders go before subfolders, and must be good at the start") {
  Watched all;
  all.write("elsewhere", 4);
  const std::string named = "a=" + (all.folder / "elsewhere").string();
  {
    AdapterWatcher watcher({{named}, all.folder.path()}, all.store, all.report);
    CHECK(all.report.str().find("adapter \"a\" added: 2 modules, rank 4\n") != std::string::npos);
    CHECK(all.report.str().find("replaced") == std::string::npos);
    std::filesystem::remove_all(all.folder / "elsewhere");
    all.look(watcher);
    CHECK(all.look(watcher).find("\"a\" not loaded, the one before it stays") != std::string::npos);
    CHECK(all.store.find("a") != nullptr);
  }
  check_throws<lora::FileError>(
      [&] {
        AdapterWatcher({{named}, {}}, all.store, all.report);
      },
      "elsewhere");
  std::ofstream(all.folder / "b" / "adapter_config.json") << "{";
  all.report.str("");
  AdapterWatcher({{}, all.folder.path()}, all.store, all.report);
  CHECK(all.report.str().find("\"b\" not loaded: ") != std::string::npos);
}

TEST_CASE("names of adapters are what they have to be") {
  check_throws<lora::ConfigError>([] { AdapterFolders({"x"}, {}); }, "expected name=folder");
  check_throws<lora::ConfigError>([] { AdapterFolders({"=x"}, {}); }, "expected name=folder");
  check_throws<lora::ConfigError>([] { AdapterFolders({"x=a", "x=b"}, {}); }, "two are called");
  check_throws<lora::ConfigError>([] { AdapterFolders({}, "nowhere"); }, "is no folder");
}
