#include <lora/peft/extract_adapter.hpp>

#include <lora/io/safetensors/safetensors_writer.hpp>
#include <lora/peft/values_writer.hpp>

#include "support/random_matrix.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::peft;
using namespace lora::test;

namespace {

using Tensors = std::map<std::string, Matrix<float>>;

// A model's directory, vectors where there is one row.
void write_model(const std::filesystem::path& directory, const Tensors& tensors) {
  io::make_directory(directory);
  std::vector<io::Tensor> stored;
  for (const auto& [name, value] : tensors)
    stored.push_back(io::make_tensor(
        name, value,
        value.rows() == 1 ? io::Shape{value.cols()} : io::Shape{value.rows(), value.cols()}));
  io::write_safetensors(directory / "model.safetensors", std::move(stored));
}

struct Models {
  TemporaryDirectory directory;
  Tensors base{{"layer.q.weight", random_matrix<float>(8, 6, 1)},
               {"layer.v.weight", random_matrix<float>(5, 6, 2)},
               {"layer.v.bias", random_matrix<float>(1, 5, 3)},
               {"embed_tokens.weight", random_matrix<float>(12, 6, 4)}};
  Tensors tuned = base;

  [[nodiscard]] ExtractedAdapter<float> extract(const ExtractOptions& options) const {
    write_model(directory / "base", base);
    write_model(directory / "tuned", tuned);
    io::ModelReader first(directory / "base"), second(directory / "tuned");
    return extract_adapter<float>(first, second, options);
  }
};

}  // namespace

TEST_CASE("an adapter that was merged comes out again") {
  Models models;
  const Matrix<float> update = random_matrix<float>(8, 2, 5) * random_matrix<float>(2, 6, 6);
  models.tuned["layer.q.weight"] += update;
  std::size_t told = 0;
  const auto made =
      models.extract({.choice = {.energy = 0.999999},
                      .prefix = "model.",
                      .progress = [&](const std::string&, std::size_t place, std::size_t count) {
                        CHECK(place == told++);
                        CHECK(count == 4);
                      }});
  CHECK(told == 4);
  REQUIRE(made.modules.size() == 1);
  CHECK(made.left_out.empty());
  const auto& factors = made.adapter.modules.at("model.layer.q");
  CHECK(factors.config.rank == 2);
  CHECK(largest_difference(factors.delta(), update) < 1e-5);
  CHECK(made.modules.at("model.layer.q").relative_error() < 1e-5);
  CHECK(made.adapter.config.target_modules ==
        ModuleNames(std::vector<std::string>{"model.layer.q"}));
  save_adapter(models.directory / "adapter", made.adapter);
  CHECK(read_adapter<float>(models.directory / "adapter").modules.size() == 1);
}

TEST_CASE("what is no linear weight is left out and listed, embeddings unless asked for") {
  Models models;
  for (auto& [name, value] : models.tuned) value *= 2;
  models.base["old.weight"] = models.tuned["new.bias"] = Matrix<float>::Ones(2, 2);
  const auto made = models.extract({.choice = {.rank = 3}});
  CHECK(made.modules.size() == 2);
  CHECK(made.left_out ==
        std::map<std::string, std::string>{{"embed_tokens.weight", "an embedding"},
                                           {"layer.v.bias", "a vector, as biases and norms have"},
                                           {"new.bias", "the base model lacks it"},
                                           {"old.weight", "the tuned model lacks it"}});
  const auto& report = made.modules.at("layer.v");
  CHECK(report.rank == 3);
  CHECK(report.norm == Approx(models.base["layer.v.weight"].norm()));
  const Matrix<float> missing =
      models.base["layer.v.weight"] - made.adapter.modules.at("layer.v").delta();
  CHECK(report.error == Approx(missing.norm()));

  const auto more = models.extract({.choice = {.rank = 6}, .embeddings = true});
  const auto& embedding = more.adapter.modules.at("embed_tokens");
  CHECK(embedding.is_embedding);
  CHECK(embedding.a.shape == io::Shape{6, 12});
  CHECK(largest_difference(embedding.delta().transpose(), models.base["embed_tokens.weight"]) <
        1e-5);
}

TEST_CASE("weights of (in, out) give factors of (out, in)") {
  Models models;
  models.tuned["layer.q.weight"] *= 2;
  const auto made = models.extract({.choice = {.rank = 6}, .fan_in_fan_out = true});
  const auto& factors = made.adapter.modules.at("layer.q");
  CHECK(factors.b.shape == io::Shape{6, 6});
  CHECK(factors.a.shape == io::Shape{6, 8});
  CHECK(largest_difference(factors.delta().transpose(), models.base["layer.q.weight"]) < 1e-5);
  CHECK(made.adapter.config.other.at("fan_in_fan_out") == "true");
}

TEST_CASE("models that do not belong together, or are the same, are refused") {
  Models models;
  check_throws<ConfigError>([&] { static_cast<void>(models.extract({.choice = {.rank = 1}})); },
                            "no linear weight of");
  check_throws<ConfigError>([&] { static_cast<void>(models.extract({})); },
                            "extract_adapter: neither a rank nor an energy is given");
  models.tuned["layer.q.weight"](1, 1) = std::numeric_limits<float>::infinity();
  check_throws<ConfigError>([&] { static_cast<void>(models.extract({.choice = {.rank = 1}})); },
                            "\"layer.q.weight\": approximate_update: W(1, 1) = inf is not");
  models.tuned["layer.v.weight"] = Matrix<float>::Ones(5, 7);
  check_throws<FileError>([&] { static_cast<void>(models.extract({.choice = {.rank = 1}})); },
                          "\"layer.v.weight\" is of shape (5, 7), and in ");
}
