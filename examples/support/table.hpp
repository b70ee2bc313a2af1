#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iomanip>
#include <ostream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace examples {

/// Lays out rows of text in columns: the first to the left, the others to the right.
class Table {
 public:
  explicit Table(std::vector<std::string> head) : head_(std::move(head)) {}

  /// Appends a row; cells that are missing stay empty.
  void add(std::vector<std::string> row) {
    row.resize(head_.size());
    rows_.push_back(std::move(row));
  }

  /// Writes the head, a line, and the rows.
  void print(std::ostream& out) const {
    std::vector<std::size_t> widths;
    for (const std::string& cell : head_) widths.push_back(cell.size());
    for (const auto& row : rows_)
      for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    std::size_t total = 0;
    for (const std::size_t width : widths) total += width + 2;
    print_row(out, head_, widths);
    out << std::string(total - 2, '-') << '\n';
    for (const auto& row : rows_) print_row(out, row, widths);
  }

 private:
  static void print_row(std::ostream& out, const std::vector<std::string>& row,
                        const std::vector<std::size_t>& widths) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string pad(widths[i] - row[i].size(), ' ');
      out << (i == 0 ? row[i] + pad : "  " + pad + row[i]);
    }
    out << '\n';
  }

  std::vector<std::string> head_;
  std::vector<std::vector<std::string>> rows_;
};

/// Returns a number with this many digits after the point.
[[nodiscard]] inline std::string fixed(double number, int digits) {
  std::ostringstream out;
  out << std::fixed << std::setprecision(digits) << number;
  return out.str();
}

/// Returns a whole number in groups of three: 83,717.
[[nodiscard]] inline std::string grouped(std::uint64_t number) {
  std::string text;
  const std::string plain = std::to_string(number);
  for (std::size_t i = 0; i < plain.size(); ++i) {
    if (i > 0 && (plain.size() - i) % 3 == 0) text += ',';
    text += plain[i];
  }
  return text;
}

/// Returns the mean.
[[nodiscard]] inline double mean(const std::vector<double>& numbers) {
  double sum = 0;
  for (const double number : numbers) sum += number;
  return sum / static_cast<double>(numbers.size());
}

/// Returns the standard deviation of a sample, 0 for a single number.
[[nodiscard]] inline double spread(const std::vector<double>& numbers) {
  if (numbers.size() < 2) return 0;
  const double middle = mean(numbers);
  double squares = 0;
  for (const double number : numbers) squares += (number - middle) * (number - middle);
  return std::sqrt(squares / static_cast<double>(numbers.size() - 1));
}

/// Returns the mean and, of several numbers, "+-" and their standard deviation.
[[nodiscard]] inline std::string mean_and_spread(const std::vector<double>& numbers, int digits) {
  if (numbers.empty()) return "-";
  std::string text = fixed(mean(numbers), digits);
  if (numbers.size() > 1) text += " +- " + fixed(spread(numbers), digits);
  return text;
}

}  // namespace examples
