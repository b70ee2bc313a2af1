#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

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

/// Concatenates its arguments as an output stream would print them; used to build error messages.
template <class... Parts>
[[nodiscard]] std::string message(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

}  // namespace lora
