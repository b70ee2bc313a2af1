#include <lora/text/chat_template.hpp>

#include <fstream>
#include <optional>
#include <string>

#include <lora/io/gguf/gguf_writer.hpp>

#include "support/catch.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::text;
using namespace lora::test;

TEST_CASE("a chat template is found wherever transformers keeps it") {
  const TemporaryDirectory directory;
  const auto write = [&](const char* name, const std::string& text) {
    std::ofstream(directory.path() / name) << text;
  };
  CHECK(read_chat_template(directory.path()) == std::nullopt);
  write("tokenizer_config.json", "{}");
  CHECK(read_chat_template(directory.path()) == std::nullopt);
  write("tokenizer_config.json", R"({"chat_template": "{{ a }}"})");
  CHECK(read_chat_template(directory.path()) == "{{ a }}");
  write("tokenizer_config.json", R"({"chat_template": "a", "x": NaN, "chat_template": "b"})");
  CHECK(read_chat_template(directory.path()) == "b");
  write("tokenizer_config.json",
        R"({"chat_template": [{"name": "tool_use", "template": "b"},
                              {"name": "default", "template": "c"}]})");
  CHECK(read_chat_template(directory.path()) == "c");
  write("tokenizer_config.json", R"({"chat_template": [{"name": "tool_use", "template": "b"}]})");
  CHECK(read_chat_template(directory.path()) == std::nullopt);
  write("tokenizer_config.json", R"({"chat_template": 3})");
  check_throws<FileError>([&] { static_cast<void>(read_chat_template(directory.path())); },
                          "chat_template is not a list");
  write("chat_template.jinja", "d");
  CHECK(read_chat_template(directory.path()) == "d");
}

TEST_CASE("a GGUF's chat template is its key") {
  const TemporaryDirectory directory;
  io::GgufWriter writer;
  writer.set("general.architecture", "llama");
  writer.write(directory.path() / "none.gguf");
  CHECK(read_chat_template(directory.path() / "none.gguf") == std::nullopt);
  writer.set("tokenizer.chat_template", "<|im_start|>");
  writer.write(directory.path() / "some.gguf");
  CHECK(read_chat_template(directory.path() / "some.gguf") == "<|im_start|>");
}
