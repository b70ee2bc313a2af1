#pragma once

#include <algorithm>
#include <cstddef>
#include <lora/generation/sampling.hpp>
#include <lora/generation/stop_strings.hpp>
#include <lora/text/stream_decoder.hpp>
#include <string>
#include <utility>
#include <vector>

#include "adapter_store.hpp"
#include "answer.hpp"
#include "request_queue.hpp"

namespace serving {

/// A request that is being answered, in its place of the batch.
template <class Tokenizer>
class Slot {
 public:
  /// Begins. `adapter` is null where the base alone is asked; `tokenizer` outlives the slot. Throws
  /// ConfigError for settings out of range.
  Slot(Arrival arrival, AdapterStore::Handle adapter, std::vector<int> prompt,
       const Tokenizer& tokenizer)
      : arrival_(std::move(arrival)),
        adapter_(std::move(adapter)),
        sampler_(arrival_.request.sampling),
        stops_(arrival_.request.stop),
        decoder_(tokenizer),
        prompt_tokens_(prompt.size()),
        tokens_(std::move(prompt)) {}

  /// Views the tokens of the prompt and of the answer so far.
  [[nodiscard]] const std::vector<int>& tokens() const { return tokens_; }
  [[nodiscard]] const Request& request() const { return arrival_.request; }

  /// Returns the name in the registry of the adapter that it began with.
  [[nodiscard]] std::string route() const {
    return adapter_ == nullptr ? std::string(lora::base_adapter) : *adapter_;
  }

  /// Gives the adapter back.
  [[nodiscard]] AdapterStore::Handle take_adapter() { return std::move(adapter_); }

  /// Chooses the next token from its logits. Returns whether the answer ends with it: it is one of
  /// `end_tokens`, completes a text of stop, or is the last that the request or the context of so
  /// many tokens has room for. Throws StateError for logits that are NaN.
  [[nodiscard]] bool push(std::span<const float> logits, const std::vector<int>& end_tokens,
                          Index context, std::vector<lora::generation::Candidate>& candidates) {
    const std::size_t step = tokens_.size() - prompt_tokens_;
    // Text 0, whatever else is in the batch: the same request has the same answer.
    const int token = sampler_.template next<float>(logits, tokens_, 0, step, candidates);
    if (step == 0) first_ = Clock::now();
    tokens_.push_back(token);
    text_ += stops_.push(decoder_.push(token));
    if (stops_.stopped() ||
        std::find(end_tokens.begin(), end_tokens.end(), token) != end_tokens.end())
      finish_ = "stop";
    else if (static_cast<Index>(step + 1) >= request().max_tokens ||
             static_cast<Index>(tokens_.size()) > context)
      finish_ = "length";
    return !finish_.empty();
  }

  /// Returns the whole answer.
  [[nodiscard]] Answer answer() {
    text_ += stops_.push(decoder_.finish());
    text_ += stops_.finish();
    Answer answer{request().number, request().id, request().adapter};
    answer.text = text_;
    answer.finish = finish_;
    answer.prompt_tokens = static_cast<Index>(prompt_tokens_);
    answer.tokens = static_cast<Index>(tokens_.size() - prompt_tokens_);
    return answer;
  }

  /// Returns the seconds from reading the request to the first token.
  [[nodiscard]] double to_first() const { return seconds(arrival_.when, first_); }
  /// Returns those to now.
  [[nodiscard]] double to_now() const { return seconds(arrival_.when, Clock::now()); }

 private:
  Arrival arrival_;
  AdapterStore::Handle adapter_;
  lora::generation::Sampler sampler_;
  lora::generation::StopStrings stops_;
  lora::text::StreamDecoder<Tokenizer> decoder_;
  std::size_t prompt_tokens_;
  std::vector<int> tokens_;
  std::string text_, finish_;
  Clock::time_point first_;
};

}  // namespace serving
