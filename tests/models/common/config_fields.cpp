#include <lora/models/common/config_fields.hpp>

#include "support/catch.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"
#include "support/whole_file.hpp"

using namespace lora;
using lora::test::check_throws;
using models::ConfigFields;

TEST_CASE("a config.json's fields are read by name, and null is an absent key") {
  const ConfigFields fields(
      R"({"size": 7, "rate": 0.25, "act": "relu", "nothing": null, "num_labels": 4})", "f");
  Index size = 1, other = 2, labels = 2;
  fields.read_size("size", size, 1, 7);
  fields.read_size("nothing", other, 1, 7);
  fields.read_size("absent", other, 1, 7);
  CHECK(size == 7);
  CHECK(other == 2);
  double rate = 0;
  fields.read_dropout("rate", rate);
  CHECK(rate == 0.25);
  Activation act = Activation::gelu;
  fields.read_activation("act", act);
  CHECK(act == Activation::relu);
  fields.read_activation("nothing", act);
  CHECK(act == Activation::relu);
  fields.read_labels(labels);
  CHECK(labels == 4);
  CHECK(fields.is_null("nothing"));
  CHECK(!fields.is_null("absent"));
  CHECK(!fields.has("nothing"));
}

TEST_CASE("a config.json's field out of range is refused by file, name and range") {
  const ConfigFields fields(R"({"n": 9, "p": 1, "e": 0, "act": "mish", "id2label": {}})", "dir/f");
  const auto refused = [](const auto& read, const std::string& part) {
    check_throws<FileError>(read, part);
  };
  Index n = 0;
  double p = 0;
  Activation act = Activation::gelu;
  refused([&] { fields.read_size("n", n, 0, 8); }, "dir/f: n is 9, expected an integer in [0, 8]");
  refused([&] { fields.read_dropout("p", p); }, "dir/f: p is 1, expected a number in [0, 1)");
  refused([&] { fields.read_small("e", p); }, "expected a number in [1e-30, 1]");
  refused([&] { fields.read_activation("act", act); }, "act is \"mish\", expected one of gelu");
  refused([&] { fields.read_labels(n); }, "id2label is {}");
  refused([] { static_cast<void>(ConfigFields("[]", "g")); }, "g: is [], expected a JSON object");
  CHECK(n == 0);
  CHECK(p == 0);
}

TEST_CASE("a config.json is what Python's json reads: the last of equal keys, and NaN") {
  const ConfigFields fields(
      R"({"n": 3, "note": NaN, "inner": {"a": 1, "a": 2}, "n": 5, "p": Infinity})", "f");
  Index n = 0, a = 0;
  fields.read_size("n", n, 0, 8);
  CHECK(n == 5);
  fields.object("inner").read_size("a", a, 0, 8);
  CHECK(a == 2);
  double p = 0;
  check_throws<FileError>([&] { fields.read_dropout("p", p); }, "f: p is inf, expected a number");
}

TEST_CASE("config.json is read from a model's directory") {
  const test::TemporaryDirectory directory;
  test::write_whole(directory / "config.json", R"({"model_type": "gpt2"})");
  CHECK(io::is_text(models::read_config_fields(directory.path())["model_type"], "gpt2"));
}

TEST_CASE("a config.json's flags and tokens are read by name") {
  const ConfigFields fields(
      R"({"on": true, "text": "true", "one": 7, "none": -1, "null": null, "some": [2, 7],
          "wrong": [2, 8]})",
      "f");
  bool on = false;
  fields.read_flag("on", on);
  CHECK(on);
  fields.read_flag("null", on);
  CHECK(on);
  CHECK(fields.mentions("null"));
  CHECK(!fields.mentions("absent"));
  CHECK(fields.token("one", 8) == 7);
  for (const char* key : {"none", "null", "absent"}) {
    CHECK(!fields.token(key, 8));
    CHECK(fields.tokens(key, 8).empty());
  }
  CHECK(fields.tokens("one", 8) == std::vector<int>{7});
  CHECK(fields.tokens("some", 8) == std::vector<int>{2, 7});
  check_throws<FileError>([&] { fields.read_flag("text", on); }, "expected true or false");
  check_throws<FileError>([&] { static_cast<void>(fields.token("one", 7)); }, "one is 7");
  check_throws<FileError>([&] { static_cast<void>(fields.tokens("wrong", 8)); },
                          "expected a token or a list of tokens");
}
