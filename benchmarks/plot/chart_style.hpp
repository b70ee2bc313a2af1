#pragma once

#include <cstddef>
#include <string>

namespace lora::bench {

/// Lists the CSS classes of a drawing. Every colour has a contrast of at least 3 both to white and
/// to black pages; the background is left to the page.
inline constexpr const char* chart_style =
    "text{font:13px system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;fill:#7b838d}\n"
    ".title{font-size:18px;font-weight:600}\n"
    ".panel{font-size:14px;font-weight:600}\n"
    ".small{font-size:12px}\n"
    ".end{text-anchor:end}\n"
    ".middle{text-anchor:middle}\n"
    ".grid{stroke:#7b838d;stroke-opacity:.25}\n"
    ".frame{stroke:#7b838d;stroke-width:1.2}\n"
    ".neutral{stroke:#7b838d}\n"
    ".c0{stroke:#3987e5;fill:#3987e5}\n"
    ".c1{stroke:#d9730d;fill:#d9730d}\n"
    ".c2{stroke:#2a9d5c;fill:#2a9d5c}\n"
    ".c3{stroke:#9a6fe0;fill:#9a6fe0}\n"
    ".c4{stroke:#d6568c;fill:#d6568c}\n"
    ".c5{stroke:#1a9aa8;fill:#1a9aa8}\n"
    ".limit{fill:none;stroke-width:1.3;stroke-dasharray:4 4;stroke-opacity:.85}\n"
    ".faint{fill:none;stroke-width:1;stroke-opacity:.4}\n"
    ".line{fill:none;stroke-width:2;stroke-linejoin:round}\n";

/// Returns the class that colours the line of number `index`; after six they come again.
[[nodiscard]] inline std::string colour_class(std::size_t index) {
  return "c" + std::to_string(index % 6);
}

}  // namespace lora::bench
