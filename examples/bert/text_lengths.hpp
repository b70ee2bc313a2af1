#pragma once

#include <cstddef>
#include <lora/lora.hpp>
#include <lora/text.hpp>
#include <string>
#include <utility>

#include "problem.hpp"

namespace bert {

/// Throws lora::ShapeError, naming the first text that has more tokens than a model has positions,
/// its length and what to do: before a run, not in the middle of it.
inline void require_positions(const Problem& problem, Index positions) {
  for (const auto& [part, texts] :
       {std::pair("train", &problem.train), std::pair("validation", &problem.validation),
        std::pair("test", &problem.test)})
    for (std::size_t i = 0; i < texts->size(); ++i) {
      const auto length = static_cast<Index>(texts->encodings[i].size());
      if (length <= positions) continue;
      std::string text;
      for (const std::string& word : texts->words[i]) text += (text.empty() ? "" : " ") + word;
      throw lora::ShapeError(
          lora::message(part, " text ", i + 1, ", \"", lora::printable(text, 40), "\", has ",
                        length, " tokens, expected at most max_position_embeddings = ", positions,
                        ": --max-length ", positions, " truncates"));
    }
}

}  // namespace bert
