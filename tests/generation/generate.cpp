#include <lora/generation/generate.hpp>

#include <string>
#include <vector>

#include "generation/toy_model.hpp"
#include "support/catch.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::generation;
using namespace lora::test;

namespace {

using Texts = std::vector<std::vector<int>>;

}  // namespace

TEST_CASE("several prompts of any lengths go on as each alone, until their ends") {
  const ToyModel model;
  const Texts prompts{{1}, {3, 4}, {1, 1, 2, 3, 5}};
  const GenerationConfig config{.max_new_tokens = 4, .end_tokens = {0, 7}};
  const Texts answers = generate(model, prompts, config);
  CHECK(answers == Texts{{2, 3, 5, 8}, {7}, {8, 3, 1, 4}});
  for (std::size_t b = 0; b < prompts.size(); ++b)
    CHECK(generate(model, prompts[b], config) == answers[b]);
}

TEST_CASE("prompts go through the model in parts where they are long") {
  const ToyModel model;
  const Texts prompts{{1, 1, 2, 3, 5}, {2}, {3, 4, 7, 1}};
  const Texts whole = generate(model, prompts, {.max_new_tokens = 3});
  const ToyModel careful;
  CHECK(generate(careful, prompts, {.max_new_tokens = 3, .prompt_tokens_at_once = 2}) == whole);
  CHECK(careful.largest_pass <= 4);
  CHECK(model.largest_pass == 10);
}

TEST_CASE("a text ends where the model has no more positions, or its reader has enough") {
  const ToyModel model;
  CHECK(generate(model, std::vector<int>(10, 0), {.max_new_tokens = 50}).size() == 3);
  std::vector<int> told;
  const auto until_three = [&](std::size_t text, int token) {
    CHECK(text == 0);
    told.push_back(token);
    return told.size() < 3;
  };
  CHECK(generate(model, {1, 2}, {.is_told = until_three}) == std::vector<int>{3, 5, 8});
  CHECK(told == std::vector<int>{3, 5, 8});
}

TEST_CASE("drawn texts depend on their seed and place, not on the others") {
  const ToyModel model;
  const GenerationConfig config{.max_new_tokens = 6,
                                .sampling = {.do_sample = true, .temperature = 3, .seed = 4}};
  const Texts prompts{{1}, {2, 3}};
  const Texts answers = generate(model, prompts, config);
  CHECK(generate(model, prompts, config) == answers);
  CHECK(generate(model, prompts[0], config) == answers[0]);
  GenerationConfig other = config;
  other.sampling.seed = 5;
  CHECK(generate(model, prompts, other) != answers);
}

TEST_CASE("generating refuses prompts and settings that do not fit, before it begins") {
  const ToyModel model;
  const auto refused = [&](const std::vector<int>& prompt, const char* part,
                           const GenerationConfig& config = {}) {
    check_throws<ShapeError>([&] { static_cast<void>(generate(model, prompt, config)); }, part);
  };
  refused({}, "prompt 0 is empty");
  refused({1, 10}, "token 1 of prompt 0 is 10, expected one in [0, 10)");
  refused(std::vector<int>(12, 1), "prompt 0 has 12 tokens, expected fewer than the model's 12");
  refused({1}, "the end token 99", {.end_tokens = {99}});
  check_throws<ConfigError>([&] { static_cast<void>(generate(model, {1}, {.max_new_tokens = 0})); },
                            "max_new_tokens is 0");
  CHECK(model.largest_pass == 0);
  CHECK(generate(model, Texts{}).empty());
}
