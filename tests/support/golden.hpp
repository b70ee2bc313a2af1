#pragma once

#include <cstdlib>
#include <fstream>
#include <map>
#include <stdexcept>
#include <string>

#include <lora/core/error.hpp>
#include <lora/core/matrix.hpp>

namespace lora::test {

/// Reads a golden file that tests/golden/make_golden.py wrote, or in another folder one of the same
/// kind: lines of `name rows cols value ...` with hexadecimal floats.
template <class T>
class Golden {
 public:
  explicit Golden(const std::string& name, const std::string& folder = "core") {
    const std::string path = message(LORA_GOLDEN_DIR, "/", folder, "/", name, ".txt");
    std::ifstream file(path);
    if (!file) throw std::runtime_error("cannot read " + path);
    std::string tensor, value;
    Index rows = 0, cols = 0;
    while (file >> tensor >> rows >> cols) {
      Matrix<T> matrix(rows, cols);
      for (Index i = 0; i < matrix.size(); ++i) {
        if (!(file >> value)) throw std::runtime_error("truncated: " + path);
        matrix.data()[i] = static_cast<T>(std::strtod(value.c_str(), nullptr));
      }
      tensors_[tensor] = std::move(matrix);
    }
  }

  /// Returns the matrix of that name; throws std::out_of_range.
  [[nodiscard]] const Matrix<T>& operator[](const std::string& name) const {
    return tensors_.at(name);
  }

 private:
  std::map<std::string, Matrix<T>> tensors_;
};

}  // namespace lora::test
