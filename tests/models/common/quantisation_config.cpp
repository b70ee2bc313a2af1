#include <lora/models/common/quantisation_config.hpp>

#include <string>

#include "support/catch.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::models;
using lora::test::check_throws;

namespace {

void read(const std::string& value) {
  refuse_other_quantisations(
      ConfigFields("{\"quantization_config\": " + value + "}", "config.json"));
}

}  // namespace

TEST_CASE("a config may say that bitsandbytes rounded the weights") {
  CHECK_NOTHROW(refuse_other_quantisations(ConfigFields("{}", "config.json")));
  CHECK_NOTHROW(read("null"));
  CHECK_NOTHROW(read(R"({"quant_method": "bitsandbytes", "load_in_4bit": true})"));
  CHECK_NOTHROW(read(R"({"load_in_8bit": true})"));
}

TEST_CASE("a config of any other quantisation is refused by its name") {
  for (const char* method : {"gptq", "awq", "fp8", "torchao", "compressed-tensors"})
    check_throws<FileError>(
        [&] { read(std::string(R"({"bits": 4, "quant_method": ")") + method + "\"}"); },
        message("config.json: quantization_config: quant_method is \"", method,
                "\", expected \"bitsandbytes\": no other quantisation is read"));
  check_throws<FileError>([] { read(R"({"bits": 4})"); }, "no other quantisation is read");
  check_throws<FileError>([] { read(R"({"quant_method": 4})"); }, "quant_method is 4");
  check_throws<FileError>([] { read("\"awq\""); }, "quantization_config is \"awq\"");
}
