#include <lora/io/safetensors/safetensors_reader.hpp>

#include "support/golden.hpp"
#include "support/safetensors_bytes.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"
#include "support/whole_file.hpp"

using namespace lora;
using namespace lora::io;
using namespace lora::test;

namespace {
const std::filesystem::path golden_file =
    std::filesystem::path(LORA_GOLDEN_DIR) / "io" / "tensors.safetensors";
}

TEST_CASE("Python's safetensors are read to the last bit") {
  const SafetensorsReader file(golden_file);
  const Golden<double> golden("../io/values");
  CHECK(file.metadata() == std::map<std::string, std::string>{{"format", "pt"}});
  for (const char* name : {"f64", "f32", "f16", "bf16", "vector", "special", "subnormal_f16"}) {
    CAPTURE(name);
    CHECK(same_bits(file.read<double>(name), golden[name]));
    CHECK(same_bits(file.read<float>(name), golden[name].cast<float>()));
  }
  CHECK(std::signbit(file.read<float>("special")(0, 1)));
  CHECK(file.read<float>("empty").rows() == 0);
  CHECK(file.read<float>("empty").cols() == 4);
  CHECK(file.read<float>("näme")(0, 0) == 1);
  CHECK(file.tensor("i64").dtype == DType::I64);
  CHECK(file.tensor("bool").shape == Shape{3});
  CHECK(file.tensor("three_dimensions").shape == Shape{2, 3, 4});
  CHECK(file.tensors().size() == 14);
  REQUIRE(file.tensor("f32").data_as<float>() != nullptr);
  CHECK(file.tensor("f32").data_as<float>()[14] == static_cast<float>(golden["f32"](2, 4)));
}

TEST_CASE("what a matrix cannot hold is an error that names file and tensor") {
  const SafetensorsReader file(golden_file);
  const auto refused = [&](const std::string& name, const std::string& why) {
    check_throws<FileError>([&] { static_cast<void>(file.read<float>(name)); },
                            "tensors.safetensors: tensor \"" + name + "\"" + why);
  };
  refused("none", " is missing");
  refused("three_dimensions", " is of shape (2, 3, 4)");
  refused("scalar", " is of shape ()");
  refused("i64", ": dtype is I64");
  CHECK(!file.contains("none"));
  CHECK(file.contains("f16"));
}

TEST_CASE("a reader stays valid when it is moved") {
  SafetensorsReader file(golden_file);
  const TensorView& view = file.tensor("f32");
  const SafetensorsReader moved(std::move(file));
  CHECK(moved.read<float>("f32").data()[0] == view.data_as<float>()[0]);
}

TEST_CASE("a shape without elements needs no memory, however wide it is") {
  const TemporaryDirectory directory;
  write_whole(directory / "f",
              safetensors_bytes(R"({"a":{"dtype":"F64","shape":[0,4611686018427387904],)"
                                R"("data_offsets":[0,0]}})"));
  CHECK(SafetensorsReader(directory / "f").read<float>("a").size() == 0);
}
