#include <lora/text/space_mark.hpp>

#include <algorithm>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <lora/text/stream_decoder.hpp>

#include "support/catch.hpp"
#include "support/throws.hpp"
#include "text/golden_fallback.hpp"

using namespace lora;
using namespace lora::text;
using namespace lora::test;

namespace {

std::string marked_text(const std::string& text, SpaceMark how, bool first) {
  std::string out;
  for (const Character& c : marked(characters_of(text), how, first)) append_utf8(c.value, out);
  return out;
}

void check_refused(const std::string& message, const std::function<void(io::Json&)>& change) {
  check_throws<FileError>([&] { static_cast<void>(golden_fallback_tokenizer(change)); }, message);
}

}  // namespace

TEST_CASE("spaces are marked as each scheme says, and come back") {
  CHECK(marked_text(" a b", SpaceMark::prepended, false) == "▁▁a▁b");
  CHECK(marked_text(" a b", SpaceMark::metaspace_always, false) == "▁a▁b");
  CHECK(marked_text("a b", SpaceMark::metaspace_always, false) == "▁a▁b");
  CHECK(marked_text("a b", SpaceMark::metaspace_first, false) == "a▁b");
  CHECK(marked_text("a b", SpaceMark::metaspace_first, true) == "▁a▁b");
  CHECK(marked_text("a b", SpaceMark::metaspace_never, true) == "a▁b");
  CHECK(marked_text("", SpaceMark::prepended, true).empty());
  CHECK(unmarked("▁a▁▁b") == " a  b");
}

TEST_CASE("texts have the ids that tokenizers gives with byte fallback, and are decoded likewise") {
  const io::Json& golden = golden_fallback();
  const BytePairTokenizer prepends = golden_fallback_tokenizer([](io::Json&) {});
  const BytePairTokenizer first = golden_fallback_tokenizer([](io::Json& json) {
    json["normalizer"] = nullptr;
    json["pre_tokenizer"] = {
        {"type", "Metaspace"}, {"replacement", "▁"}, {"prepend_scheme", "first"}, {"split", false}};
  });
  REQUIRE(golden["texts"].size() > 200);
  for (std::size_t i = 0; i < golden["texts"].size(); ++i) {
    const auto text = golden["texts"][i].get<std::string>();
    CAPTURE(text);
    const std::vector<int> ids = prepends.encode(text).ids;
    CHECK(ids == ids_of(golden["ids"][i]));
    CHECK(first.encode(text, {.add_special_tokens = false}).ids == ids_of(golden["first"][i]));
    // As it is streamed it is as it is decoded.
    StreamDecoder stream(prepends);
    std::string streamed;
    for (const int id : ids) streamed += stream.push(id);
    streamed += stream.finish();
    CHECK(streamed == prepends.decode(ids));
  }
  for (const auto& [text, ids] :
       golden["special"].get<std::vector<std::pair<std::string, io::Json>>>())
    CHECK(prepends.encode(text, {.add_special_tokens = false, .parse_special = true}).ids ==
          ids_of(ids));
  for (const auto& each : golden["decoded"]) {
    CAPTURE(each.dump());
    CHECK(prepends.decode(ids_of(each[0])) == each[1].get<std::string>());
  }
  // What spells a control token stays text unless asked for.
  const auto spelled = prepends.encode("</s>", {.add_special_tokens = false}).ids;
  CHECK(std::find(spelled.begin(), spelled.end(), 2) == spelled.end());
  CHECK(prepends.decode(spelled) == "</s>");
}

TEST_CASE("a tokenizer.json with byte fallback that does something else is refused by name") {
  check_refused("prepend is \"_\"",
                [](io::Json& j) { j["normalizer"]["normalizers"][0]["prepend"] = "_"; });
  check_refused("lacks normalizer", [](io::Json& j) { j["normalizer"] = nullptr; });
  check_refused("split is not false", [](io::Json& j) {
    j["normalizer"] = nullptr;
    j["pre_tokenizer"] = {
        {"type", "Metaspace"}, {"replacement", "▁"}, {"prepend_scheme", "first"}, {"split", true}};
  });
  check_refused("prepend_scheme is often", [](io::Json& j) {
    j["normalizer"] = nullptr;
    j["pre_tokenizer"] = {
        {"type", "Metaspace"}, {"replacement", "▁"}, {"prepend_scheme", "often"}, {"split", false}};
  });
  check_refused("does not strip one space",
                [](io::Json& j) { j["decoder"]["decoders"][3]["start"] = 2; });
  check_refused("type is ByteLevel",
                [](io::Json& j) { j["decoder"]["decoders"][1]["type"] = "ByteLevel"; });
  check_refused("for what is unknown, is not in the vocabulary",
                [](io::Json& j) { j["model"]["unk_token"] = "<none>"; });
}
