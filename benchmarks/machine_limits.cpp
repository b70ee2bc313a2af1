// Prints what this machine can do at most, one line of JSON for each number of threads:
//
//     machine_limits [<threads>...]
//
//     {"threads": 1, "fma_flops": 1.1e11, "read_bytes": 2.5e10, "read_write_bytes": 2.9e10}
//
// Without arguments for 1 thread and for all that OpenMP would use. Takes about a second a line.

#include <charconv>
#include <exception>
#include <iostream>
#include <lora/core/error.hpp>
#include <string_view>
#include <vector>

#include "machine.hpp"
#include "machine_limits.hpp"

namespace lora::bench {
namespace {

int thread_number(std::string_view text) {
  int number = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  constexpr int most = 1024;
  if (error != std::errc() || stop != text.data() + text.size() || number < 1 || number > most)
    throw ConfigError(message("the number of threads is ", text, ", expected 1 to ", most));
  return number;
}

void print_limits(const std::vector<std::string_view>& arguments) {
  std::vector<int> numbers;
  numbers.reserve(arguments.size() + 2);
  for (const std::string_view argument : arguments) numbers.push_back(thread_number(argument));
  if (numbers.empty()) {
    numbers.push_back(1);
    if (thread_count() > 1) numbers.push_back(thread_count());
  }
  for (const int threads : numbers) {
    const MachineLimits limits = measure_limits(threads);
    std::cout << "{\"threads\": " << limits.threads << ", \"fma_flops\": " << limits.fma_flops
              << ", \"read_bytes\": " << limits.read_bytes
              << ", \"read_write_bytes\": " << limits.read_write_bytes << "}" << std::endl;
  }
}

}  // namespace
}  // namespace lora::bench

int main(int argc, char** argv) {
  try {
    lora::bench::print_limits({argv + 1, argv + argc});
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "machine_limits: " << error.what() << '\n';
    return 1;
  }
}
