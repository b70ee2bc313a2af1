#include <memory>
#include <string>
#include <vector>

#include <lora/io/model_reader.hpp>
#include <lora/io/safetensors/safetensors_writer.hpp>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"
#include "support/whole_file.hpp"

using namespace lora;
using lora::test::check_throws;
using lora::test::random_matrix;

namespace {

const char* const index_file = "model.safetensors.index.json";

void write_shards(const test::TemporaryDirectory& directory) {
  io::write_safetensors(directory / "model-1.safetensors",
                        {io::make_tensor("a", random_matrix<float>(3, 4, 1))});
  io::write_safetensors(directory / "model-2.safetensors",
                        {io::make_tensor("b", random_matrix<float>(5, 2, 2)),
                         io::make_tensor("c", random_matrix<float>(1, 6, 3), {6})});
  test::write_whole(directory / index_file,
                    R"({"metadata": {"total_size": 112}, "weight_map": {"a": "model-1.safetensors",
                        "b": "model-2.safetensors", "c": "model-2.safetensors"}})");
}

}  // namespace

TEST_CASE("a model in one file and one in shards give the same tensors") {
  const test::TemporaryDirectory shards, whole;
  write_shards(shards);
  io::write_safetensors(whole / "model.safetensors",
                        {io::make_tensor("a", random_matrix<float>(3, 4, 1)),
                         io::make_tensor("b", random_matrix<float>(5, 2, 2)),
                         io::make_tensor("c", random_matrix<float>(1, 6, 3), {6})});
  io::ModelReader first(shards.path()), second(whole.path());
  for (io::ModelReader* reader : {&first, &second}) {
    CHECK(reader->tensors().size() == 3);
    CHECK(reader->contains("b"));
    CHECK(!reader->contains("d"));
    CHECK(test::same_bits(reader->read<float>("a"), random_matrix<float>(3, 4, 1)));
    CHECK(test::same_bits(reader->read<float>("b"), random_matrix<float>(5, 2, 2)));
    CHECK(reader->tensor("c").shape == io::Shape{6});
    reader->release_pages();
    CHECK(test::same_bits(reader->read<float>("c"), random_matrix<float>(1, 6, 3)));
  }
}

TEST_CASE("views stay valid when the reader is moved, and shards that nobody asks for unread") {
  const test::TemporaryDirectory directory;
  write_shards(directory);
  test::write_whole(directory / "model-2.safetensors", "not a file of tensors");
  io::ModelReader reader(directory.path());
  const float* data = reader.tensor("a").data_as<float>();
  REQUIRE(data != nullptr);
  const io::ModelReader moved = std::move(reader);
  CHECK(*data == random_matrix<float>(3, 4, 1)(0, 0));
  io::ModelReader again(directory.path());
  check_throws<FileError>([&] { static_cast<void>(again.tensor("b")); }, "model-2.safetensors");
}

TEST_CASE("every floating type of a model's file is converted") {
  const test::TemporaryDirectory directory;
  const Matrix<double> values = random_matrix<double>(4, 3, 5);
  std::vector<io::Tensor> tensors;
  for (const io::DType dtype : {io::DType::F64, io::DType::F32, io::DType::F16, io::DType::BF16})
    tensors.push_back(io::make_tensor(std::string(io::name_of(dtype)), values, dtype));
  io::write_safetensors(directory / "model.safetensors", tensors);
  io::ModelReader reader(directory.path());
  // One rounding of the type: half an ulp of numbers below 1.
  CHECK(test::largest_difference(reader.read<double>("F64"), values) == 0);
  CHECK(test::largest_difference(reader.read<float>("F32"), values) <= 0x1p-25);
  CHECK(test::largest_difference(reader.read<float>("F16"), values) <= 0x1p-12);
  CHECK(test::largest_difference(reader.read<float>("BF16"), values) <= 0x1p-9);
  CHECK(reader.tensor("F16").data_as<float>() == nullptr);
}

TEST_CASE("a directory without a model, with a pickle, or with a tensor less is refused") {
  const test::TemporaryDirectory directory;
  const auto refused = [&](const std::string& part) {
    check_throws<FileError>([&] { io::ModelReader reader(directory.path()); }, part);
  };
  refused("model.safetensors");
  test::write_whole(directory / "pytorch_model.bin", "pickle");
  refused("is a Python pickle");
  write_shards(directory);
  io::ModelReader reader(directory.path());
  check_throws<FileError>([&] { static_cast<void>(reader.tensor("d")); },
                          "tensor \"d\" is missing");
  // The index may name a shard that does not hold the tensor, or none that exists.
  test::write_whole(directory / index_file,
                    R"({"weight_map": {"a": "model-2.safetensors", "b": "model-3.safetensors"}})");
  io::ModelReader wrong(directory.path());
  check_throws<FileError>([&] { static_cast<void>(wrong.tensor("a")); },
                          "model-2.safetensors: tensor \"a\" is missing");
  check_throws<FileError>([&] { static_cast<void>(wrong.tensor("b")); }, "model-3.safetensors");
}

#ifndef _WIN32  // where the standard library makes no symbolic links
TEST_CASE("links that lead nowhere are errors that name the file") {
  for (const char* name : {"model.safetensors", "model.safetensors.index.json"}) {
    const test::TemporaryDirectory directory;
    std::filesystem::create_symlink(directory / name, directory / name);
    check_throws<FileError>([&] { io::ModelReader reader(directory.path()); }, name);
  }
}
#endif

TEST_CASE("an index that lies is refused") {
  const auto refused = [](const std::string& text, const std::string& part) {
    CAPTURE(text);
    check_throws<FileError>([&] { static_cast<void>(io::parse_model_index(text, "index")); }, part);
  };
  refused("", "index: not valid JSON");
  refused("[]", "no object \"weight_map\"");
  refused("{}", "no object \"weight_map\"");
  refused(R"({"weight_map": ["a"]})", "no object \"weight_map\"");
  refused(R"({"weight_map": {"a": 3}})", "the file of \"a\" is 3");
  refused(R"({"weight_map": {"a": "f", "a": "g"}})", "stands twice");
  for (const char* name : {"", ".", "..", "../f.safetensors", "/etc/passwd", "d/f.safetensors",
                           R"(d\\f.safetensors)", "C:f", ".hidden", R"(f\u0000.safetensors)"})
    refused(message(R"({"weight_map": {"a": ")", name, "\"}}"), "expected the name of a file");
  CHECK(io::parse_model_index(R"({"weight_map": {}})", "index").empty());
}

TEST_CASE("a file of a model stays mapped for whoever holds it") {
  const test::TemporaryDirectory directory;
  io::write_safetensors(directory / "model.safetensors",
                        {io::make_tensor("a", test::random_matrix<float>(2, 3, 1))});
  std::shared_ptr<const io::SafetensorsReader> file;
  {
    io::ModelReader reader(directory.path());
    file = reader.file("a");
    CHECK(file->tensor("a").bytes.data() == reader.tensor("a").bytes.data());
    check_throws<FileError>([&] { static_cast<void>(reader.file("b")); }, "is missing");
  }
  CHECK(file.use_count() == 1);
  CHECK(file->tensor("a").bytes.size() == 24);
}
