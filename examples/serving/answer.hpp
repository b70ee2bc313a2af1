#pragma once

#include <cstddef>
#include <lora/core/matrix.hpp>
#include <lora/io/json_value.hpp>
#include <optional>
#include <string>

#include "request.hpp"

namespace serving {

/// What one request gets.
struct Answer {
  std::size_t number = 0;  ///< of the request
  lora::io::Json id = nullptr;
  std::optional<std::string> adapter = {};
  std::string text = {};
  std::string finish = {};  ///< "stop": an end token or a text of stop; "length": max_tokens
  Index prompt_tokens = 0;
  Index tokens = 0;
  std::string error = {};  ///< instead of all that
};

/// Returns the answer that says why there is none.
[[nodiscard]] inline Answer refusal(const Request& request, const std::string& why) {
  Answer answer{request.number, request.id, request.adapter};
  answer.error = why;
  return answer;
}

/// Returns the answer as a line of JSON, without its end: {"id", "adapter", "text", "finish",
/// "prompt_tokens", "tokens"}, or {"id", "adapter", "error"}.
[[nodiscard]] inline std::string json_line(const Answer& answer) {
  nlohmann::ordered_json json;
  json["id"] = answer.id;
  json["adapter"] = nullptr;
  if (answer.adapter) json["adapter"] = *answer.adapter;
  if (!answer.error.empty()) {
    json["error"] = answer.error;
  } else {
    json["text"] = answer.text;
    json["finish"] = answer.finish;
    json["prompt_tokens"] = answer.prompt_tokens;
    json["tokens"] = answer.tokens;
  }
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace serving
