#include <lora/io/safetensors/safetensors_writer.hpp>

#include <lora/io/safetensors/safetensors_reader.hpp>

#include "support/random_matrix.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"
#include "support/whole_file.hpp"

using namespace lora;
using namespace lora::io;
using namespace lora::test;

TEST_CASE("what Python wrote is written again as the same bytes") {
  const auto path = std::filesystem::path(LORA_GOLDEN_DIR) / "io" / "tensors.safetensors";
  const SafetensorsReader file(path);
  std::vector<Tensor> tensors;
  for (const auto& [name, view] : file.tensors())
    tensors.push_back({name, view.dtype, view.shape, {view.bytes.begin(), view.bytes.end()}});
  std::reverse(tensors.begin(), tensors.end());
  const TemporaryDirectory directory;
  write_safetensors(directory / "f", tensors, file.metadata());
  CHECK(read_whole(directory / "f") == read_whole(path));
}

TEST_CASE("matrices are written and read back") {
  const TemporaryDirectory directory;
  const Matrix<double> a = random_matrix<double>(3, 4, 1);
  const Matrix<float> b = random_matrix<float>(1, 5, 2);
  write_safetensors(directory / "f",
                    {make_tensor("a", a), make_tensor("b\"\n", b, Shape{5}),
                     make_tensor("half", a, DType::F16), make_tensor("none", Matrix<float>(0, 3))},
                    {});
  const SafetensorsReader file(directory / "f");
  CHECK(file.metadata().empty());
  CHECK(same_bits(file.read<double>("a"), a));
  CHECK(file.tensor("b\"\n").shape == Shape{5});
  CHECK(same_bits(file.read<float>("b\"\n"), b));
  CHECK(largest_difference(file.read<double>("half"), a) <= 0x1p-11);
  CHECK(file.read<float>("none").rows() == 0);
}

TEST_CASE("what readers would refuse is not written, and the old file stays") {
  const TemporaryDirectory directory;
  const Matrix<float> a = random_matrix<float>(2, 2, 1);
  const auto path = directory / "f";
  write_whole(path, "old");
  const auto refused = [&](std::vector<Tensor> tensors, const std::string& why) {
    check_throws<FileError>([&] { write_safetensors(path, std::move(tensors)); }, why);
  };
  refused({make_tensor("a", a), make_tensor("a", a)}, "f: the name \"a\" stands twice");
  refused({make_tensor("__metadata__", a)}, "f: the name \"__metadata__\" is reserved");
  refused({make_tensor("\xff", a)}, "f: a name or a value is not UTF-8");
  refused({make_tensor("a", a, Shape{3})}, "has 16 bytes, which do not fit F32 (3,)");
  check_throws<FileError>([&] { static_cast<void>(make_tensor("a", a, DType::I8)); },
                          "tensor \"a\": dtype is I8");
  check_throws<FileError>(
      [&] { static_cast<void>(make_tensor("a", Matrix<float>::Constant(1, 1, 1e6F), DType::F16)); },
      "too large for F16");
  CHECK(read_whole(path) == "old");
  CHECK(directory.count() == 1);
}

TEST_CASE("a file that is written tensor by tensor is the same bytes") {
  const TemporaryDirectory directory;
  const std::vector<Tensor> tensors{
      make_tensor("b", random_matrix<float>(3, 4, 1)),
      make_tensor("a", random_matrix<float>(2, 2, 2)),
      make_tensor("c", random_matrix<float>(1, 6, 3), Shape{6}, DType::BF16)};
  write_safetensors(directory / "whole", tensors);
  std::vector<TensorPlan> plans;
  for (const Tensor& tensor : tensors) plans.push_back({tensor.name, tensor.dtype, tensor.shape});
  const auto write = [&](std::size_t missing) {
    AtomicFile file(directory / "stream");
    stream_safetensors(file, plans, [&](const TensorPlan& plan) {
      const auto found = std::find_if(tensors.begin(), tensors.end(), [&](const Tensor& tensor) {
        return tensor.name == plan.name;
      });
      return std::span(found->bytes).first(found->bytes.size() - missing);
    });
    file.commit();
  };
  write(0);
  CHECK(read_whole(directory / "stream") == read_whole(directory / "whole"));
  check_throws<FileError>([&] { write(2); }, "stream: tensor \"a\" has 14 bytes, expected 16");
  plans.push_back(plans.front());
  check_throws<FileError>([&] { write(0); }, "the name \"b\" stands twice");
  CHECK(read_whole(directory / "stream") == read_whole(directory / "whole"));
}
