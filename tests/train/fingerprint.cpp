#include <lora/train/fingerprint.hpp>

#include <string>
#include <vector>

#include "support/catch.hpp"

using lora::train::Fingerprint;

TEST_CASE("a fingerprint is FNV-1a of 64 bits") {
  CHECK(Fingerprint().text() == "cbf29ce484222325");
  // Of eight zero bytes: the offset basis times the prime, eight times.
  std::uint64_t expected = 0xCBF29CE484222325;
  for (int i = 0; i < 8; ++i) expected *= 0x100000001B3;
  std::string digits;
  for (int shift = 60; shift >= 0; shift -= 4) digits += "0123456789abcdef"[expected >> shift & 15];
  CHECK(Fingerprint().add(0).text() == digits);
}

TEST_CASE("a fingerprint tells data apart, their order and their borders") {
  using Numbers = std::vector<int>;
  const auto of = [](const auto& data) { return Fingerprint().add(data).text(); };
  CHECK(of(Numbers{1, 2, 3}) == of(std::vector<long>{1, 2, 3}));
  CHECK(of(Numbers{-1}) == of(std::vector<long>{-1}));
  CHECK(of(Numbers{1, 2, 3}) != of(Numbers{1, 3, 2}));
  CHECK(of(std::vector<Numbers>{{1, 2}, {3}}) != of(std::vector<Numbers>{{1}, {2, 3}}));
  CHECK(of(std::vector<Numbers>{{1}, {}}) != of(std::vector<Numbers>{{1}}));
  CHECK(of(std::vector<std::string>{"ab", "c"}) != of(std::vector<std::string>{"a", "bc"}));
  CHECK(Fingerprint().add("text").text() == Fingerprint().add(std::string("text")).text());
}
