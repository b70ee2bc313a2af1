// Loading: what memory it takes, which names files may use, and files that lie.
#include <lora/models/bert/bert_source.hpp>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include <lora/io/safetensors/safetensors_writer.hpp>

#include "models/bert/golden_bert.hpp"
#include "models/bert/hollow_bert.hpp"
#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"
#include "support/whole_file.hpp"

using namespace lora;
using lora::test::bert_data;
using lora::test::check_throws;
using lora::test::GoldenBatch;
using lora::test::TemporaryDirectory;

namespace {

using Json = nlohmann::json;
using Sentiment = models::BertForSequenceClassification<float>;

// The tiny model's files, to be changed before they are written.
struct TinyFiles {
  TinyFiles() : config(Json::parse(test::read_whole(bert_data("tiny/config.json")))) {
    const io::SafetensorsReader file(bert_data("tiny/model.safetensors"));
    for (const auto& [name, view] : file.tensors())
      tensors.push_back({name, view.dtype, view.shape, {view.bytes.begin(), view.bytes.end()}});
  }

  void write(const TemporaryDirectory& directory) const {
    test::write_whole(directory / "config.json", config.dump());
    io::write_safetensors(directory / "model.safetensors", tensors);
  }

  io::Tensor& tensor(const std::string& name) {
    for (io::Tensor& each : tensors)
      if (each.name == name) return each;
    throw std::out_of_range(name);
  }

  Json config;
  std::vector<io::Tensor> tensors;
};

Matrix<float> logits_of(const std::filesystem::path& directory) {
  const Sentiment model(directory);
  Matrix<float> logits;
  model.forward(GoldenBatch().tokens, logits);
  return logits;
}

}  // namespace

TEST_CASE("packed weights are copies, once, and mapped ones are none") {
  const TemporaryDirectory directory;
  test::write_hollow_bert(directory.path(), {.vocab_size = 1000,
                                             .hidden_size = 384,
                                             .num_hidden_layers = 3,
                                             .num_attention_heads = 6,
                                             .intermediate_size = 1536});
  const auto file_bytes = std::filesystem::file_size(directory / "model.safetensors");
  REQUIRE(file_bytes > 20'000'000);
  std::optional<models::BertModel<float, MappedWeight<float>>> model;
  const auto taken = test::allocations_of([&] { model.emplace(directory.path()); });
  CHECK(taken.bytes < file_bytes / 20);
  CHECK(static_cast<std::size_t>(model->total_parameters()) * sizeof(float) > file_bytes * 9 / 10);
  std::optional<models::BertModel<float>> packed;
  const auto copied = test::allocations_of([&] { packed.emplace(directory.path()); });
  CHECK(copied.bytes > file_bytes / 2);
  CHECK(copied.bytes < file_bytes * 11 / 10);
}

TEST_CASE(
    "files with and without the prefix of the base model, and with the first names of norms") {
  const Matrix<float> expected = logits_of(bert_data("tiny"));
  TinyFiles files;
  const TemporaryDirectory bare;
  for (io::Tensor& tensor : files.tensors)
    if (tensor.name.starts_with("bert.")) tensor.name = tensor.name.substr(5);
  files.write(bare);
  CHECK(test::same_bits(logits_of(bare.path()), expected));
  const TemporaryDirectory older;
  for (io::Tensor& tensor : files.tensors) {
    if (tensor.name.ends_with("LayerNorm.weight"))
      tensor.name = tensor.name.substr(0, tensor.name.size() - 6) + "gamma";
    if (tensor.name.ends_with("LayerNorm.bias"))
      tensor.name = tensor.name.substr(0, tensor.name.size() - 4) + "beta";
  }
  files.write(older);
  CHECK(test::same_bits(logits_of(older.path()), expected));
}

TEST_CASE("weights of other floating types are converted") {
  const Matrix<float> expected = logits_of(bert_data("tiny"));
  for (const io::DType dtype : {io::DType::F64, io::DType::F16, io::DType::BF16}) {
    TinyFiles files;
    const io::SafetensorsReader file(bert_data("tiny/model.safetensors"));
    for (io::Tensor& tensor : files.tensors)
      tensor = io::make_tensor(tensor.name, file.read<double>(tensor.name), tensor.shape, dtype);
    const TemporaryDirectory directory;
    files.write(directory);
    const double difference = test::largest_difference(logits_of(directory.path()), expected);
    CAPTURE(io::name_of(dtype), difference);
    // The model amplifies the roundings of its weights, 2^-11 and 2^-8, by less than 32.
    CHECK(difference <= (dtype == io::DType::F64 ? 0 : dtype == io::DType::F16 ? 0x1p-6 : 0x1p-3));
    if (dtype != io::DType::F64) CHECK(difference > 0);
  }
}

TEST_CASE("a model's files that do not hold what config.json says are refused by name") {
  const auto refused = [](const auto& change, const std::string& part) {
    CAPTURE(part);
    TinyFiles files;
    change(files);
    const TemporaryDirectory directory;
    files.write(directory);
    check_throws<FileError>([&] { const Sentiment model(directory.path()); }, part);
  };
  refused([](TinyFiles& files) { files.config["hidden_size"] = 64; },
          "word_embeddings.weight\" is of shape (50, 32), expected (50, 64) by the model's config");
  refused([](TinyFiles& files) { files.config["vocab_size"] = 30522; },
          "is of shape (50, 32), expected (30522, 32)");
  refused([](TinyFiles& files) { files.config["num_hidden_layers"] = 3; },
          "tensor \"bert.encoder.layer.2.attention.self.query.weight\" is missing");
  refused([](TinyFiles& files) { files.config["intermediate_size"] = 47; },
          "intermediate.dense.weight\" is of shape (48, 32), expected (47, 32)");
  refused(
      [](TinyFiles& files) {
        files.config["id2label"] = {{"0", "no"}, {"1", "yes"}};
      },
      "tensor \"classifier.weight\" is of shape (3, 32), expected (2, 32)");
  refused(
      [](TinyFiles& files) {
        io::Tensor& tensor = files.tensor("bert.encoder.layer.1.output.dense.weight");
        tensor.dtype = io::DType::I32;
      },
      "dtype is I32, expected one of F64, F32, F16, BF16");
  refused(
      [](TinyFiles& files) {
        files.tensor("bert.pooler.dense.bias").name = "bert.pooler.dense.bais";
      },
      "tensor \"bert.pooler.dense.bias\" is missing");
  const TemporaryDirectory empty;
  check_throws<FileError>([&] { const Sentiment model(empty.path()); }, "config.json");
  test::write_whole(empty / "config.json", "{}");
  check_throws<FileError>([&] { const Sentiment model(empty.path()); }, "model.safetensors");
}

TEST_CASE("a new head is drawn from the seed where it trains and the files have none") {
  TinyFiles files;
  std::erase_if(files.tensors,
                [](const io::Tensor& tensor) { return tensor.name.starts_with("classifier."); });
  const TemporaryDirectory directory;
  files.write(directory);
  const auto head = [&](std::uint64_t seed) {
    Sentiment model(directory.path(), {.labels = 5, .seed = seed});
    REQUIRE(model.labels() == 5);
    const auto parameters = model.parameters();
    REQUIRE(parameters.size() == 2);
    CHECK(parameters[0]->name == "classifier.weight");
    CHECK(parameters[1]->value.isZero());
    return parameters[0]->value;
  };
  const Matrix<float> first = head(1);
  CHECK(test::same_bits(first, head(1)));
  CHECK(!test::same_bits(first, head(2)));
  // 160 normal numbers of standard deviation 0.02: their spread is within 30% of it.
  const double spread = std::sqrt(first.cast<double>().squaredNorm() / 160);
  CHECK(spread == Approx(0.02).epsilon(0.3));
}
