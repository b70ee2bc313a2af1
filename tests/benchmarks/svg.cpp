#include "benchmarks/plot/svg.hpp"

#include "benchmarks/well_formed.hpp"
#include "support/catch.hpp"

using namespace lora::bench;
using lora::test::fault_of_xml;

TEST_CASE("the check for well-formed XML finds faults") {
  CHECK(fault_of_xml("<a b=\"1\" c=\"&lt;\"><d/>text &amp; more</a>\n").empty());
  for (const char* bad :
       {"", "text", "<a>", "<a></b>", "</a>", "<a/><b/>", "<a b=1/>", "<a b=\"1/>", "<a b=\"<\"/>",
        "<a>&</a>", "<a>&nbsp;</a>", "<a", "<a><b></a></b>", "<a b=\"1\" b=\"2\"/>", "<a>\x01</a>"})
    CHECK_FALSE(fault_of_xml(bad).empty());
}

TEST_CASE("text of any kind stays text") {
  CHECK(escape_xml("a<b>&\"'") == "a&lt;b&gt;&amp;&quot;&#39;");
  CHECK(escape_xml(std::string("tab\t, nul\0, del\x7F", 16)) == "tab , nul , del ");
  CHECK(escape_xml("Zürich") == "Zürich");
}

TEST_CASE("every element of a drawing is well-formed") {
  Svg svg;
  svg.line(0, 1, 2, 3, "grid");
  svg.polyline({{0, 0}, {1.25, -0.01}}, "line");
  for (std::size_t shape = 0; shape < 5; ++shape) svg.marker(5, 5, shape, "c0");
  svg.text(1, 1, "</text><script>", "\"&", "transform=\"rotate(-90 1 1)\"");
  const std::string file = svg.document(10, 20, "a < b", "c > d", "text{fill:#7b838d}\n");
  CHECK(fault_of_xml(file) == "");
  CHECK(file.find("<script>") == std::string::npos);
  CHECK(file.find("points=\"0.0,0.0 1.2,0.0\"") != std::string::npos);
  CHECK(file.find("viewBox=\"0 0 10.0 20.0\"") != std::string::npos);
}
