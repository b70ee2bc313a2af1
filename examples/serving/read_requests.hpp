#pragma once

#include <cstddef>
#include <istream>
#include <lora/text/utf8.hpp>
#include <lora/text/whitespace.hpp>
#include <string>
#include <utility>

#include "request_queue.hpp"

namespace serving {

/// Reads the lines of `in` into the queue, until they end or nobody takes them, and ends it. Empty
/// lines are passed over; one that is no request is a request with an error.
inline void read_requests(std::istream& in, Index max_tokens, RequestQueue& queue) {
  std::string text;
  std::size_t number = 0;
  for (std::size_t line = 1; std::getline(in, text); ++line) {
    if (lora::text::without_trailing_whitespace(text).empty()) continue;
    Request request = parse_request(text, line, max_tokens);
    request.number = number++;
    if (!queue.push(std::move(request))) return;
  }
  queue.end();
}

}  // namespace serving
