#pragma once

#include <cctype>
#include <string>
#include <string_view>
#include <vector>

namespace lora::test {

/// Says what keeps `xml` from being a well-formed document of elements, attributes in double
/// quotes and character data; an empty string if nothing does. Comments, declarations and CDATA are
/// not among what the drawings use and count as faults.
[[nodiscard]] inline std::string fault_of_xml(std::string_view xml) {
  std::vector<std::string> open;
  bool has_root = false;
  std::size_t at = 0;
  const auto fault = [&](const std::string& what) { return what + " at " + std::to_string(at); };
  const auto is_name = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == ':';
  };
  const auto take_name = [&] {
    std::string name;
    while (at < xml.size() && is_name(xml[at])) name += xml[at++];
    return name;
  };
  const auto take_reference = [&] {
    for (const std::string_view known : {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"})
      if (xml.substr(at, known.size()) == known) {
        at += known.size();
        return true;
      }
    return false;
  };
  while (at < xml.size()) {
    const char c = xml[at];
    if (c == '&') {
      if (!take_reference()) return fault("unknown reference");
    } else if (c != '<') {
      if (open.empty() && std::isspace(static_cast<unsigned char>(c)) == 0)
        return fault("text outside the root");
      if (static_cast<unsigned char>(c) < 0x20 && c != '\n') return fault("control character");
      ++at;
    } else if (xml.substr(at, 2) == "</") {
      at += 2;
      const std::string name = take_name();
      if (open.empty() || open.back() != name) return fault("</" + name + "> closes nothing");
      if (at >= xml.size() || xml[at++] != '>') return fault("end tag without >");
      open.pop_back();
    } else {
      if (open.empty() && has_root) return fault("second root");
      has_root = true;
      ++at;
      const std::string name = take_name();
      if (name.empty()) return fault("tag without name");
      std::vector<std::string> attributes;
      while (at < xml.size() && xml[at] == ' ') {
        ++at;
        const std::string attribute = take_name();
        if (attribute.empty() || xml.substr(at, 2) != "=\"") return fault("bad attribute");
        for (const std::string& other : attributes)
          if (other == attribute) return fault("attribute twice");
        attributes.push_back(attribute);
        at += 2;
        while (at < xml.size() && xml[at] != '"') {
          if (xml[at] == '<') return fault("< in an attribute");
          if (xml[at] != '&')
            ++at;
          else if (!take_reference())
            return fault("unknown reference");
        }
        if (at++ >= xml.size()) return fault("attribute without end");
      }
      const bool closed = xml.substr(at, 2) == "/>";
      at += closed ? 2 : 1;
      if (at > xml.size() || xml[at - 1] != '>') return fault("tag without >");
      if (!closed) open.push_back(name);
    }
  }
  if (!open.empty()) return "<" + open.back() + "> is not closed";
  return has_root ? "" : "no root";
}

}  // namespace lora::test
