#include <lora/models/common/gguf_adapter_format.hpp>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("an adapter's format has the linear modules that have a weight in the file") {
  using Kind = peft::ModuleKind;
  models::ModelOutline outline;
  outline.modules = {{"norm", Kind::no_layer},
                     {"embed", Kind::other_layer},
                     {"q", Kind::linear},
                     {"c", Kind::conv1d},
                     {"lm_head", Kind::linear}};
  const auto format = models::adapter_format_of("some", outline,
                                                {{"norm.weight", {"n.weight"}},
                                                 {"embed.weight", {"e.weight"}},
                                                 {"q.weight", {"attn_q.weight", 4}},
                                                 {"q.bias", {"attn_q.bias", 4}},
                                                 {"c.weight", {"attn_qkv.weight"}}});
  CHECK(format.architecture == "some");
  REQUIRE(format.places.size() == 2);
  CHECK(format.places.at("q").name == "attn_q.weight");
  CHECK(format.places.at("q").head_rows == 4);
  CHECK(format.places.at("c").name == "attn_qkv.weight");
}

TEST_CASE("rows of heads are turned to llama.cpp's order and back") {
  const Matrix<float> b = random_matrix<float>(8, 3, 1);
  const Matrix<float> turned = models::interleaved(b, 4, false);
  CHECK(same_bits(turned.row(1), b.row(2)));
  CHECK(same_bits(turned.row(6), b.row(5)));
  CHECK(same_bits(models::interleaved(turned, 4, true), b));
}
