#pragma once

#include <array>
#include <cstddef>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>

namespace lora {

/// Thrown when the shape of an argument does not fit; the message says what was expected and what
/// came. Nothing has changed when it is thrown.
class ShapeError : public std::invalid_argument {
 public:
  using std::invalid_argument::invalid_argument;
};

/// Thrown when a setting is outside its range (rank 0, dropout of 1, alpha that is not finite ...).
class ConfigError : public std::invalid_argument {
 public:
  using std::invalid_argument::invalid_argument;
};

/// Thrown when a call does not fit the state of the object: training a merged layer, merging into
/// memory that is read-only, backward without its forward.
class StateError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

/// Thrown when a file cannot be read or written, or does not hold what it should; the message names
/// the file and what is wrong in it.
class FileError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

namespace detail {

// One function for each kind of part, not inlined: messages are built where something is thrown,
// and streams of their own in each such place took half of the time that a program compiled.
[[gnu::cold, gnu::noinline]] inline void append_text(std::string& out, std::string_view text) {
  out += text;
}

[[gnu::cold, gnu::noinline]] inline void append_number(std::string& out, double number) {
  std::array<char, 32> digits;
  const int count = std::snprintf(digits.data(), digits.size(), "%g", number);
  out.append(digits.data(), static_cast<std::size_t>(count));
}

[[gnu::cold, gnu::noinline]] inline void append_integer(std::string& out, long long number) {
  out += std::to_string(number);
}

[[gnu::cold, gnu::noinline]] inline void append_integer(std::string& out,
                                                        unsigned long long number) {
  out += std::to_string(number);
}

template <class Part>
void append_part(std::string& out, const Part& part) {
  if constexpr (std::is_convertible_v<const Part&, std::string_view>)
    append_text(out, part);
  else if constexpr (std::is_same_v<Part, char>)
    append_text(out, {&part, 1});
  else if constexpr (std::is_floating_point_v<Part>)
    append_number(out, static_cast<double>(part));
  else if constexpr (std::is_integral_v<Part> && std::is_signed_v<Part>)
    append_integer(out, static_cast<long long>(part));
  else if constexpr (std::is_integral_v<Part>)
    append_integer(out, static_cast<unsigned long long>(part));
  else
    append_text(out, part.text());
}

}  // namespace detail

/// Concatenates its arguments, as an output stream would print them: texts, characters, numbers,
/// and whatever has a text(). Used to build error messages.
template <class... Parts>
[[gnu::cold, gnu::noinline, nodiscard]] std::string message(const Parts&... parts) {
  std::string out;
  (detail::append_part(out, parts), ...);
  return out;
}

}  // namespace lora
