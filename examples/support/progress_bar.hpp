#pragma once

#include <iomanip>
#include <ostream>
#include <string>
#include <utility>

#if __has_include(<unistd.h>)
#include <unistd.h>
#endif

namespace examples {

/// Tells whether the error output is a terminal, where a line can be drawn over.
[[nodiscard]] inline bool error_output_is_terminal() {
#if __has_include(<unistd.h>)
  return ::isatty(STDERR_FILENO) == 1;
#else
  return false;
#endif
}

/// Draws how far a piece of work has come. On a terminal one line is drawn over and over, and left
/// when the work ends; elsewhere (a file, a pipe) there is one plain line, at the end.
class ProgressBar {
 public:
  /// Begins with nothing done of `total` steps.
  ProgressBar(std::ostream& out, bool terminal, std::string title, int total)
      : out_(out), terminal_(terminal), title_(std::move(title)), total_(total) {}
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  /// Says what is being done from here on.
  void set_step(const std::string& name) {
    step_ = name;
    draw();
  }

  /// Notes that one more step is done. Draws where the percentage changes.
  void advance() {
    const int before = percent();
    ++done_;
    if (percent() != before) draw();
  }

  /// Does the same, and says how it goes: `remark` is what is drawn next.
  void advance(std::string remark) {
    step_ = std::move(remark);
    advance();
  }

  /// Says that the work is done, with `remark` for the last word.
  void finish(const std::string& remark) {
    done_ = total_;
    step_ = remark;
    draw();
    if (terminal_)
      out_ << '\n';
    else
      out_ << title_ << ": " << remark << '\n';
    out_.flush();
  }

 private:
  [[nodiscard]] int percent() const { return total_ == 0 ? 100 : done_ * 100 / total_; }

  void draw() {
    if (!terminal_) return;
    constexpr int width = 30;
    const int filled = percent() * width / 100;
    // To the line's begin, and when it is drawn the rest of an older, longer one is cleared.
    out_ << '\r' << title_ << " [" << std::string(static_cast<std::size_t>(filled), '#')
         << std::string(static_cast<std::size_t>(width - filled), '.') << "] " << std::setw(3)
         << percent() << " %  " << step_ << "\x1b[K" << std::flush;
  }

  std::ostream& out_;
  bool terminal_;
  std::string title_;
  std::string step_;
  int total_;
  int done_ = 0;
};

}  // namespace examples
