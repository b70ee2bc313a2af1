#pragma once

#include <array>
#include <cmath>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lora::bench {

/// Returns `text` as XML character data: markup characters are escaped, control characters, which
/// XML has no way to write, become spaces.
[[nodiscard]] inline std::string escape_xml(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? ' ' : c;
    }
  }
  return out;
}

/// Writes a coordinate: a tenth of a pixel is as fine as anybody sees.
[[nodiscard]] inline std::string coordinate(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f", std::abs(value) < 0.05 ? 0.0 : value);
  return text.data();
}

/// Collects the elements of an SVG drawing. Colours and text come from classes that the head of
/// the drawing defines; coordinates are pixels, y downwards.
class Svg {
 public:
  using Points = std::vector<std::pair<double, double>>;

  /// Draws a straight line.
  void line(double x1, double y1, double x2, double y2, std::string_view css_class) {
    body_ += "<line class=\"" + escape_xml(css_class) + "\" x1=\"" + coordinate(x1) + "\" y1=\"" +
             coordinate(y1) + "\" x2=\"" + coordinate(x2) + "\" y2=\"" + coordinate(y2) + "\"/>\n";
  }

  /// Draws a line through all points.
  void polyline(const Points& points, std::string_view css_class) {
    body_ += "<polyline class=\"" + escape_xml(css_class) + "\" points=\"";
    for (std::size_t i = 0; i < points.size(); ++i)
      body_ +=
          (i == 0 ? "" : " ") + coordinate(points[i].first) + "," + coordinate(points[i].second);
    body_ += "\"/>\n";
  }

  /// Draws a filled rectangle from its upper left corner.
  void bar(double x, double y, double width, double height, std::string_view css_class) {
    body_ += "<rect class=\"" + escape_xml(css_class) + "\" x=\"" + coordinate(x) + "\" y=\"" +
             coordinate(y) + "\" width=\"" + coordinate(width) + "\" height=\"" +
             coordinate(height) + "\"/>\n";
  }

  /// Draws a filled shape around (x, y), one of four that are told apart without colour.
  void marker(double x, double y, std::size_t shape, std::string_view css_class) {
    static constexpr double r = 4;
    const auto polygon = [&](const Points& corners) {
      body_ += "<polygon class=\"" + escape_xml(css_class) + "\" points=\"";
      for (std::size_t i = 0; i < corners.size(); ++i)
        body_ += (i == 0 ? "" : " ") + coordinate(x + r * corners[i].first) + "," +
                 coordinate(y + r * corners[i].second);
      body_ += "\"/>\n";
    };
    switch (shape % 4) {
      case 0:
        body_ += "<circle class=\"" + escape_xml(css_class) + "\" cx=\"" + coordinate(x) +
                 "\" cy=\"" + coordinate(y) + "\" r=\"3.8\"/>\n";
        break;
      case 1:
        polygon({{-0.9, -0.9}, {0.9, -0.9}, {0.9, 0.9}, {-0.9, 0.9}});
        break;
      case 2:
        polygon({{0, -1.2}, {1.1, 0.8}, {-1.1, 0.8}});
        break;
      default:
        polygon({{0, -1.25}, {1.25, 0}, {0, 1.25}, {-1.25, 0}});
        break;
    }
  }

  /// Writes `text`; `attributes` are further ones, as they stand in the file.
  void text(double x, double y, std::string_view text, std::string_view css_class,
            std::string_view attributes = "") {
    body_ += "<text class=\"" + escape_xml(css_class) + "\" x=\"" + coordinate(x) + "\" y=\"" +
             coordinate(y) + "\"";
    if (!attributes.empty()) body_.append(1, ' ').append(attributes);
    body_ += ">" + escape_xml(text) + "</text>\n";
  }

  /// Returns the file: `title` and `description` are read to who cannot see it, `style` is CSS.
  [[nodiscard]] std::string document(double width, double height, std::string_view title,
                                     std::string_view description, std::string_view style) const {
    const std::string w = coordinate(width), h = coordinate(height);
    return "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" + w + "\" height=\"" + h +
           "\" viewBox=\"0 0 " + w + " " + h + "\" role=\"img\" aria-labelledby=\"title desc\">\n" +
           "<title id=\"title\">" + escape_xml(title) + "</title>\n<desc id=\"desc\">" +
           escape_xml(description) + "</desc>\n<style>\n" + std::string(style) + "</style>\n" +
           body_ + "</svg>\n";
  }

 private:
  std::string body_;
};

}  // namespace lora::bench
