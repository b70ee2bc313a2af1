#pragma once

// Catch2 2 and 3 under one include, with the names of version 3 where they differ.
#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx;  // as in Catch2 2
#else
#include <catch2/catch.hpp>
#include <string>

namespace Catch::Matchers {
/// Matches a string that contains `part`.
inline StdString::ContainsMatcher ContainsSubstring(const std::string& part) {
  return Contains(part);
}
}  // namespace Catch::Matchers
#endif
