#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <lora/core/finite.hpp>
#include <lora/core/matrix.hpp>
#include <lora/core/printable.hpp>
#include <lora/generation/sampling.hpp>
#include <lora/io/json.hpp>
#include <lora/text/json_fields.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace serving {

using lora::Index;

/// What one line asks for.
struct Request {
  std::size_t number = 0;                   ///< of all requests, from 0 on
  std::size_t line = 0;                     ///< where it stands, from 1 on
  lora::io::Json id = nullptr;              ///< a text or a number, given back as it came
  std::optional<std::string> adapter = {};  ///< the base alone without one
  std::string prompt = {};
  Index max_tokens = 0;
  lora::generation::SamplingConfig sampling = {};
  std::vector<std::string> stop = {};
  bool plain = false;      ///< goes on from the prompt as a text, not as a turn of a chat
  std::string error = {};  ///< why it cannot be answered; empty: it can
};

namespace detail {

[[nodiscard]] inline double real_number(const lora::text::JsonFields& fields, const char* key) {
  const lora::io::Json& value = fields.at(key);
  if (!value.is_number()) fields.fail(lora::message(key, " is not a number"));
  return value.get<double>();
}

[[nodiscard]] inline std::vector<std::string> texts(const lora::text::JsonFields& fields,
                                                    const char* key) {
  const lora::io::Json& value = fields.at(key);
  if (value.is_string()) return {fields.string(key)};
  std::vector<std::string> all;
  for (const auto& each : fields.array(key)) {
    if (!each.is_string()) fields.fail(lora::message(key, " has what is not a string"));
    all.push_back(each.get<std::string>());
  }
  return all;
}

inline void read_fields(const lora::text::JsonFields& fields, Request& request) {
  static const std::set<std::string> known{
      "id",    "adapter", "prompt", "max_tokens",         "temperature", "top_k",
      "top_p", "min_p",   "seed",   "repetition_penalty", "stop",        "plain"};
  for (const auto& [key, value] : fields.json().items())
    if (!known.contains(key)) fields.fail("the key " + lora::in_quotes(key) + " is not known");
  if (fields.find("adapter") != nullptr) request.adapter = fields.string("adapter");
  request.prompt = fields.string("prompt");
  if (fields.find("max_tokens") != nullptr) request.max_tokens = fields.number("max_tokens");
  if (request.max_tokens < 1) fields.fail("max_tokens is 0, expected at least 1");
  auto& sampling = request.sampling;
  const auto draw = [&](const char* key, double& setting) {
    if (fields.find(key) == nullptr) return;
    setting = real_number(fields, key);
    sampling.do_sample = true;
  };
  draw("temperature", sampling.temperature);
  draw("top_p", sampling.top_p);
  draw("min_p", sampling.min_p);
  if (fields.find("top_k") != nullptr) {
    sampling.top_k = fields.number("top_k");
    sampling.do_sample = true;
  }
  if (fields.find("repetition_penalty") != nullptr)
    sampling.repetition_penalty = real_number(fields, "repetition_penalty");
  if (fields.find("seed") != nullptr)
    sampling.seed = static_cast<std::uint64_t>(fields.number("seed"));
  validate(sampling);
  if (fields.find("stop") != nullptr) request.stop = texts(fields, "stop");
  for (const std::string& stop : request.stop)
    if (stop.empty()) fields.fail("a text of stop is empty, which would end any answer");
  request.plain = fields.boolean("plain").value_or(false);
}

}  // namespace detail

/// Parses the line with number `line`:
///
///     {"id": 7, "adapter": "french", "prompt": "...", "max_tokens": 32}
///
/// `adapter` may be absent or null (the base alone), `id` absent (the number of the line). Answers
/// are greedy unless temperature, top_k, top_p or min_p is there; seed, repetition_penalty, stop (a
/// text or several) and plain may be. What is wrong with the line stands in `error`, after its
/// number; nothing is thrown for it.
[[nodiscard]] inline Request parse_request(std::string_view text, std::size_t line,
                                           Index max_tokens) {
  Request request;
  request.line = line;
  request.id = line;
  request.max_tokens = max_tokens;
  const std::string where = lora::message("line ", line);
  try {
    const lora::io::Json json = lora::io::parse_json(text, where);
    const lora::text::JsonFields fields(json, where);
    if (const auto* id = fields.find("id")) {
      if (!id->is_string() && !id->is_number()) fields.fail("id is neither a string nor a number");
      request.id = *id;
    }
    detail::read_fields(fields, request);
  } catch (const std::exception& error) {
    request.error = error.what();
    if (!request.error.starts_with(where)) request.error.insert(0, where + ": ");
  }
  return request;
}

}  // namespace serving
