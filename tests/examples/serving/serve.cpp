#include "examples/serving/serve.hpp"

#include <sstream>
#include <string>
#include <vector>

#include "examples/serving/tiny_adapters.hpp"
#include "examples/text_generation/load_adapted.hpp"
#include "examples/text_generation/tiny_model.hpp"
#include "examples/text_generation/writer.hpp"
#include "support/catch.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"

using namespace serving;
using namespace lora::test;

namespace {

using Llama = textgen::Llama;

// A model and two adapters in files.
struct Served {
  Served() {
    write_tiny_llama(folder / "m.gguf");
    lora::peft::save_adapter(folder / "adapters" / "x", tiny_llama_adapter(1));
    lora::peft::save_adapter(folder / "adapters" / "y", tiny_llama_adapter(50));
    options.model = (folder / "m.gguf").string();
    options.adapters_dir = (folder / "adapters").string();
    options.batch = 3;
    options.context = 96;
    options.prompt_tokens = 5;
    options.max_tokens = 10;
  }

  // What the model writes with one adapter, by itself.
  [[nodiscard]] std::string alone(const std::string& adapter, const std::string& prompt) const {
    textgen::Common common;
    common.model = options.model;
    if (!adapter.empty()) common.adapter = (folder / "adapters" / adapter).string();
    const auto language = textgen::load_adapted<Llama>(common);
    std::string text;
    textgen::write(language, language.prompt_tokens(prompt, true),
                   {.max_new_tokens = options.max_tokens, .plain = true},
                   [&](std::string_view piece) { text += piece; });
    return text;
  }

  TemporaryDirectory folder;
  Options options;
};

Arrival arrival(const std::string& adapter, const std::string& prompt, Index max_tokens) {
  Request request;
  if (!adapter.empty()) request.adapter = adapter;
  request.prompt = prompt;
  request.max_tokens = max_tokens;
  request.plain = true;
  return {request, Clock::now()};
}

}  // namespace

TEST_CASE("requests of several adapters are answered together as each would be by itself") {
  const Served served;
  std::ostringstream requests, out, errors;
  std::vector<std::string> expected;
  for (int i = 0; i < 7; ++i) {
    const std::string adapter = i % 3 == 0 ? "" : i % 3 == 1 ? "x" : "y";
    const std::string prompt = "some words " + std::string(static_cast<std::size_t>(4 * i), 'w');
    requests << "{\"id\": " << i << ", \"prompt\": \"" << prompt << "\", \"plain\": true"
             << (adapter.empty() ? "" : ", \"adapter\": \"" + adapter + "\"") << "}\n";
    expected.push_back(served.alone(adapter, prompt));
  }
  requests << "{\"adapter\": \"z\", \"prompt\": \"p\"}\n{broken\n"
           << "{\"prompt\": \"" << std::string(200, 'p') << "\"}\n";
  std::istringstream in(requests.str());
  CHECK(serve<Llama>(served.options, in, out, errors) == 3);

  std::istringstream lines(out.str());
  std::string line;
  for (int i = 0; i < 7; ++i) {
    REQUIRE(std::getline(lines, line));
    CAPTURE(line);
    const auto answer = lora::io::Json::parse(line);
    CHECK(answer.at("id") == i);
    CHECK(answer.at("text").get<std::string>() == expected[static_cast<std::size_t>(i)]);
  }
  CHECK(expected[1] != served.alone("", "some words wwww"));
  for (const std::string error :
       {R"("adapter":"z","error":"there is no adapter called \"z\", only \"x\", \"y\"")",
        "{\"id\":9,\"adapter\":null,\"error\":\"line 9: not valid JSON", "expected fewer than"}) {
    REQUIRE(std::getline(lines, line));
    CAPTURE(line, error);
    CHECK(line.find(error) != std::string::npos);
  }
  CHECK(!std::getline(lines, line));
  CHECK(errors.str().find("\n(base)") != std::string::npos);
  CHECK(errors.str().find("\nall ") != std::string::npos);
}

TEST_CASE("a request in flight keeps the adapter that it began with") {
  const Served served;
  BaseModel<Llama> base(served.options.model);
  AdapterStore store(base.registry);
  std::vector<std::string> texts;
  Batcher<Llama> batcher(base, store, served.options,
                         [&](const Answer& answer) { texts.push_back(answer.text); });
  store.put("a", tiny_llama_adapter(1));
  batcher.admit(arrival("a", "hello there", 10));
  batcher.step();
  batcher.step();
  batcher.step();
  store.put("a", tiny_llama_adapter(50));
  batcher.admit(arrival("a", "hello there", 10));
  store.remove("a");
  CHECK(base.registry.names().size() == 2);
  CHECK(batcher.has_room());
  while (batcher.busy()) batcher.step();
  REQUIRE(texts.size() == 2);
  CHECK(texts[0] == served.alone("x", "hello there"));
  CHECK(texts[1] == served.alone("y", "hello there"));
  CHECK(base.registry.names().empty());
  batcher.admit(arrival("a", "hello there", 10));
  CHECK(texts.size() == 3);
  CHECK(!batcher.busy());
}

TEST_CASE("answers end where they are to, and drawn ones do not depend on their neighbours") {
  const Served served;
  BaseModel<Llama> base(served.options.model);
  AdapterStore store(base.registry);
  std::vector<Answer> answers;
  Batcher<Llama> batcher(base, store, served.options,
                         [&](const Answer& answer) { answers.push_back(answer); });
  const auto run = [&] {
    while (batcher.busy()) batcher.step();
  };
  Arrival drawn = arrival("", "hello", 12);
  drawn.request.sampling = {.do_sample = true, .temperature = 2, .seed = 3};
  batcher.admit(drawn);
  run();
  batcher.admit(arrival("", "another text", 3));
  batcher.admit(drawn);
  run();
  REQUIRE(answers.size() == 3);
  CHECK(answers[2].text == answers[0].text);
  CHECK(answers[1].tokens == 3);
  CHECK(answers[1].finish == "length");

  const std::string whole = served.alone("", "hello");
  REQUIRE(whole.size() > 4);
  Arrival stopped = arrival("", "hello", 10);
  stopped.request.stop = {whole.substr(2, 2)};
  batcher.admit(stopped);
  run();
  CHECK(answers.back().finish == "stop");
  CHECK(answers.back().text == whole.substr(0, whole.find(whole.substr(2, 2))));

  // The context is full: one token follows the last that it holds.
  batcher.admit(arrival("", std::string(90, 'a'), 100));
  run();
  CHECK(answers.back().prompt_tokens + answers.back().tokens == 97);
  CHECK(answers.back().finish == "length");
  Options much = served.options;
  much.context = 257;
  check_throws<lora::ConfigError>([&] { Batcher<Llama>(base, store, much, [](const Answer&) {}); },
                                  "model's 256 positions");
}
