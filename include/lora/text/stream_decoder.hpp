#pragma once

#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>

#include "lora/core/utf8.hpp"
#include "lora/text/utf8.hpp"

namespace lora::text {

/// Is satisfied by a tokenizer that gives the bytes of single tokens.
template <class Tokenizer>
concept GivesBytes = requires(const Tokenizer& tokenizer, int id) {
  { tokenizer.bytes_of(id) } -> std::convertible_to<std::string>;
  { tokenizer.is_special(id) } -> std::convertible_to<bool>;
};

/// A decoder of tokens as they come: it gives text out as soon as its characters are whole, so that
/// what was given out so far and finish() together are the tokenizer's decode(). Special tokens are
/// left out. (Runs of bytes that are no UTF-8 may differ where spaces are marked: decode() sees
/// them whole.) Views the tokenizer, which must outlive it.
template <GivesBytes Tokenizer>
class StreamDecoder {
 public:
  explicit StreamDecoder(const Tokenizer& tokenizer) : tokenizer_(&tokenizer) {}

  /// Takes a token, and returns the text that is whole now, often that of the token, sometimes
  /// none. Bytes that can no longer become a character are U+FFFD.
  [[nodiscard]] std::string push(int id) {
    if (!tokenizer_->is_special(id)) waiting_ += tokenizer_->bytes_of(id);
    return take(whole(waiting_));
  }

  /// Returns what was waiting for more bytes, as U+FFFD, and begins anew.
  [[nodiscard]] std::string finish() {
    std::string rest = take(waiting_.size());
    begins_ = true;
    return rest;
  }

  /// Returns the bytes that wait, at most three.
  [[nodiscard]] std::string_view waiting() const { return waiting_; }

 private:
  // The bytes before a beginning of a character at the end.
  [[nodiscard]] static std::size_t whole(std::string_view bytes) {
    for (std::size_t back = 1; back <= 3 && back <= bytes.size(); ++back) {
      const auto byte = static_cast<unsigned char>(bytes[bytes.size() - back]);
      if (byte >= 0x80 && byte < 0xC0) continue;  // the middle of a character
      if (byte < 0xC2 || byte > 0xF4) break;      // a whole one, or the beginning of none
      const std::size_t length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : 2;
      const std::string_view tail = bytes.substr(bytes.size() - back);
      // It waits only where it may still be completed: all of it is one ill-formed beginning.
      const CodePoint point = code_point_at(tail, 0);
      if (length > back && !point.well_formed && point.length == back) return bytes.size() - back;
      break;
    }
    return bytes.size();
  }

  std::string take(std::size_t count) {
    std::string text;
    for (const Character& character : characters_of(std::string_view(waiting_).substr(0, count)))
      append_utf8(character.value, text);
    waiting_.erase(0, count);
    if (begins_ && !text.empty()) {
      begins_ = false;
      if constexpr (requires { tokenizer_->spaces().strip; })
        if (tokenizer_->spaces().strip && text.front() == ' ') text.erase(0, 1);
    }
    return text;
  }

  const Tokenizer* tokenizer_;
  std::string waiting_;
  bool begins_ = true;
};

}  // namespace lora::text
