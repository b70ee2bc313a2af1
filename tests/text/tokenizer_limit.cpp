#include <lora/text/tokenizer_limit.hpp>

#include <string_view>

#include "support/catch.hpp"

using namespace lora;
using namespace lora::text;

TEST_CASE("a file up to the limit may be a tokenizer's") {
  const char anything = 0;  // no byte of it is read
  CHECK_NOTHROW(require_tokenizer_size(std::string_view(), "f"));
  CHECK_NOTHROW(require_tokenizer_size(std::string_view(&anything, tokenizer_limit), "f"));
  CHECK_THROWS_WITH(require_tokenizer_size(std::string_view(&anything, tokenizer_limit + 1), "f"),
                    "f: has 32000001 bytes, more than a tokenizer has");
}
