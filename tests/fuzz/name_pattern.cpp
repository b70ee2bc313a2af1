// Reads any bytes as a pattern and, from the first line feed on, a name: the ways to match agree,
// and no pattern takes longer than its length times the name's, which libFuzzer's timeout watches.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include <lora/peft/name_pattern.hpp>

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lora;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::string_view text = input.substr(0, input.find('\n'));
  const std::string_view name = input.substr(std::min(size, text.size() + 1));
  try {
    const peft::NamePattern pattern(text);
    const auto reaches_end = [&](std::size_t begin) {
      const auto ends = pattern.ends_from(name, begin);
      require(std::is_sorted(ends.begin(), ends.end()));
      require(std::adjacent_find(ends.begin(), ends.end()) == ends.end());
      require(ends.empty() || (ends.front() >= begin && ends.back() <= name.size()));
      return !ends.empty() && ends.back() == name.size();
    };
    bool at_end = reaches_end(0);
    require(pattern.matches(name) == at_end);
    const bool some_end = pattern.matches_end(name);
    // One by one, the places behind dots are as many times the work; and where there are line
    // feeds, Python's suffix match has rules of its own.
    if (name.size() > 100 || name.find('\n') != std::string_view::npos) return 0;
    for (std::size_t i = 0; i < name.size(); ++i)
      if (name[i] == '.') at_end = reaches_end(i + 1) || at_end;
    require(some_end == at_end);
  } catch (const ConfigError&) {
    // What a pattern deserves that is not known.
  }
  return 0;
}
