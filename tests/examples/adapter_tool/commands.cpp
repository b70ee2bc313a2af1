#include "examples/adapter_tool/commands.hpp"

#include <sstream>

#include "peft/small_adapter.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace adaptertool;
using namespace lora::peft;
using namespace lora::test;

namespace {

using lora::Matrix;

// Two adapters and a base model that they fit.
struct Folders {
  Folders() {
    save_adapter(directory / "x", x);
    save_adapter(directory / "y", y);
    lora::io::make_directory(directory / "base");
    lora::io::write_safetensors(
        directory / "base" / "model.safetensors",
        {lora::io::make_tensor("block.q.weight", Matrix<float>::Ones(4, 6)),
         lora::io::make_tensor("block.v.weight", Matrix<float>::Ones(5, 6))});
  }

  [[nodiscard]] std::string path(const std::string& name) const {
    return (directory / name).string();
  }

  AdapterValues<float> x = small_adapter(2, 4, 1), y = small_adapter(3, 6, 7);
  TemporaryDirectory directory;
};

}  // namespace

TEST_CASE("adapters are combined, resized, merged and extracted from folder to folder") {
  const Folders folders;
  std::ostringstream out, progress;
  Options options;
  options.adapters = {folders.path("x"), folders.path("y")};
  options.weights = {1, -1};
  options.type = "cat";
  options.out = folders.path("both");
  CHECK(run_combine(options, out));
  CHECK(out.str().find("2 modules of rank 5") != std::string::npos);
  const auto both = read_adapter<float>(folders.path("both"));
  const Matrix<float> delta = both.modules.at("block.v").delta();
  CHECK(largest_difference(delta, folders.x.modules.at("block.v").delta() -
                                      folders.y.modules.at("block.v").delta()) < 1e-5);

  Options resize;
  resize.adapters = {folders.path("both")};
  resize.rank = 5;
  resize.out = folders.path("resized");
  CHECK(run_resize(resize, out));
  CHECK(out.str().find("0.00%") != std::string::npos);

  Options merge = resize;
  merge.adapters = {folders.path("resized")};
  merge.base = folders.path("base");
  merge.out = folders.path("merged");
  CHECK(run_merge(merge, out, progress));
  CHECK(progress.str().find("2 of 2  block.v.weight") != std::string::npos);

  Options extract;
  extract.base = folders.path("base");
  extract.tuned = folders.path("merged");
  extract.rank = 4;
  extract.out = folders.path("extracted");
  CHECK(run_extract(extract, out, progress));
  CHECK(read_adapter<float>(folders.path("extracted")).modules.at("block.v").config.rank == 4);
  options.weights = {1};
  check_throws<lora::ConfigError>([&] { run_combine(options, out); },
                                  "--weights has 1 numbers, expected one for each of 2");
}

TEST_CASE("an adapter is verified by itself and against a base") {
  Folders folders;
  const auto verify = [&](const std::string& adapter, const std::string& base) {
    Options options;
    options.adapters = {folders.path(adapter)};
    options.base = base.empty() ? "" : folders.path(base);
    std::ostringstream out;
    const bool good = run_verify(options, out);
    return std::pair(good, out.str());
  };
  CHECK(verify("x", "base").second == "good: 2 modules, which the base model has\n");
  folders.x.modules.at("block.v").a.value(0, 0) = std::numeric_limits<float>::quiet_NaN();
  folders.x.modules.emplace("block.k", small_factors(4, 2, 6, 4, 1));
  describe_values(folders.x);
  save_adapter(folders.directory / "bad", folders.x);
  const auto [good, text] = verify("bad", "");
  CHECK_FALSE(good);
  CHECK(text.find("odd: block.v has numbers that are not finite") != std::string::npos);
  check_throws<lora::FileError>([&] { verify("bad", "base"); }, "has no weight of \"block.k\"");
}
