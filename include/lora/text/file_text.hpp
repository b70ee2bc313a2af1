#pragma once

#include <string_view>

#include "lora/io/mapped_file.hpp"

namespace lora::text {

/// Views a mapped file as text.
[[nodiscard]] inline std::string_view text_of(const io::MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

}  // namespace lora::text
