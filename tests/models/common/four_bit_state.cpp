#include <lora/models/common/four_bit_state.hpp>

#include <string>

#include "support/catch.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::models;
using lora::test::check_throws;

namespace {

FourBitState parse(const std::string& text) { return parse_four_bit_state(text, "nf4", "state"); }

void refused(const std::string& fields, const char* what) {
  CAPTURE(fields);
  check_throws<FileError>([&] { static_cast<void>(parse("{" + fields + "}")); },
                          message("state: ", what));
}

const std::string plain_fields = R"("quant_type": "nf4", "blocksize": 64, )";

}  // namespace

TEST_CASE("a quant_state of bitsandbytes is read") {
  const FourBitState state =
      parse("{" + plain_fields + R"("dtype": "bfloat16", "shape": [5, 50]})");
  CHECK(state.normal);
  CHECK(state.out_features == 5);
  CHECK(state.in_features == 50);
  CHECK(state.block_size == 64);
  CHECK(state.blocks() == 4);
  CHECK(!state.nested);
  const FourBitState nested = parse("{" + plain_fields +
                                    R"("shape": [8, 128], "nested_blocksize": 256,
           "nested_dtype": "float32", "nested_offset": 0.359130859375})");
  CHECK(nested.nested);
  CHECK(nested.offset == 0.359130859375F);
  CHECK(nested.blocks() == 16);
  CHECK(!parse_four_bit_state(R"({"quant_type": "fp4", "blocksize": 32, "shape": [1, 1]})", "fp4",
                              "state")
             .normal);
}

TEST_CASE("a quant_state that bitsandbytes does not write is refused") {
  check_throws<FileError>([] { static_cast<void>(parse("[]")); }, "state: is []");
  check_throws<FileError>([] { static_cast<void>(parse("{")); }, "state: ");
  refused("", "quant_type is missing");
  refused(R"("quant_type": "fp4")", "quant_type is \"fp4\", expected \"nf4\"");
  for (const char* size : {"0", "16", "96", "8192", "-64", "\"64\"", "1e2"})
    refused(R"("quant_type": "nf4", "shape": [1, 1], "blocksize": )" + std::string(size),
            "blocksize is ");
  for (const char* shape : {"[1]", "[1, 1, 1]", "[-1, 1]", "[1, 2.0]", "[1, 4000000000]", "4"})
    refused(plain_fields + "\"shape\": " + shape, "shape is ");
  const std::string shape = plain_fields + R"("shape": [1, 1], )";
  refused(shape + R"("nested_offset": 0.5)", "nested_blocksize is missing, expected 256");
  for (const char* offset : {"NaN", "Infinity", "1e300", "\"1\""})
    refused(shape + R"("nested_blocksize": 256, "nested_offset": )" + offset, "nested_offset is ");
}
