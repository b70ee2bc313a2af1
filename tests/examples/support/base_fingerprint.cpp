#include "examples/support/base_fingerprint.hpp"

#include "support/catch.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"

TEST_CASE("a base is known by its files, wherever they lie") {
  const auto write = [](const std::filesystem::path& path, const std::string& text) {
    std::ofstream(path, std::ios::binary) << text;
  };
  const auto fill = [&](const std::filesystem::path& folder) {
    write(folder / "config.json", "{\"hidden_size\": 8}");
    write(folder / "model.safetensors", std::string(10'000'000, 'w'));
    write(folder / "vocab.txt", "[PAD]");
  };
  const lora::test::TemporaryDirectory one, other;
  fill(one.path());
  fill(other.path());
  const std::string known = examples::base_fingerprint(one.path());
  CHECK(examples::base_fingerprint(other.path()) == known);
  write(other / "config.json", "{\"hidden_size\": 9}");
  CHECK(examples::base_fingerprint(other.path()) != known);
  fill(other.path());
  write(other / "model.safetensors", std::string(10'000'001, 'w'));
  CHECK(examples::base_fingerprint(other.path()) != known);
  write(other / "model.safetensors", std::string(10'000'000, 'v'));
  CHECK(examples::base_fingerprint(other.path()) != known);
  fill(other.path());
  write(other / "more.safetensors", "");
  CHECK(examples::base_fingerprint(other.path()) != known);
  // A base in one file is that file alone.
  const std::string file = examples::base_fingerprint(one / "model.safetensors");
  CHECK(file == examples::base_fingerprint(other / "model.safetensors"));
  CHECK(file != known);
  // A config.json that cannot be read is an error, not another base.
  std::filesystem::remove(other / "config.json");
  lora::test::check_throws<lora::FileError>(
      [&] { static_cast<void>(examples::base_fingerprint(other.path())); },
      "config.json: cannot open");
}
