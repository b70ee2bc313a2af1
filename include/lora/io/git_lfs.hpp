#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "lora/core/error.hpp"

namespace lora::io {

/// Throws FileError, naming `where`, if the bytes of a file are a Git LFS pointer: the few lines
/// that a clone has in the place of a large file until it is pulled
/// (github.com/git-lfs/git-lfs, docs/spec.md).
inline void refuse_git_lfs_pointer(std::span<const std::byte> bytes, const std::string& where) {
  constexpr std::string_view beginning = "version https://git-lfs.github.com/spec/";
  const auto text = std::as_bytes(std::span(beginning));
  if (bytes.size() < text.size() || !std::equal(text.begin(), text.end(), bytes.begin())) return;
  throw FileError(where +
                  ": is a Git LFS pointer, not the file itself: run `git lfs pull` in its "
                  "repository, or download the file");
}

}  // namespace lora::io
