#pragma once

#include <string>

#include "support/catch.hpp"

namespace lora::test {

/// Checks that `action` throws an Error whose message holds `part`.
template <class Error, class Action>
void check_throws(const Action& action, const std::string& part) {
  try {
    action();
  } catch (const Error& error) {
    CAPTURE(part, error.what());
    CHECK(std::string(error.what()).find(part) != std::string::npos);
    return;
  }
  FAIL("nothing was thrown, expected: " + part);
}

}  // namespace lora::test
