#include "examples/images/options.hpp"

#include "support/catch.hpp"

using images_example::Options;

namespace {

Options parse_images(const std::string& arguments) {
  CLI::App app;
  Options options;
  images_example::add_options(app, options);
  app.parse(arguments);
  return options;
}

}  // namespace

TEST_CASE("options of the images example are parsed, and have defaults of their own") {
  const Options plain = parse_images("");
  CHECK(plain.seeds == 5);
  CHECK(plain.ranks == std::vector<lora::Index>{1, 4, 16});
  CHECK(plain.full_learning_rate == 9e-3);
  const Options given =
      parse_images("--ranks 2,8 --shots 3 --norm-learning-rate 0.5 --learning-rate 0.25 --seeds 2");
  CHECK(given.ranks == std::vector<lora::Index>{2, 8});
  CHECK(given.shots == 3);
  CHECK(given.norm_learning_rate == 0.5);
  CHECK(given.learning_rate == 0.25);
  CHECK(given.seeds == 2);
  for (const char* bad : {"--ranks 1025", "--learning-rate 0", "--full-learning-rate 0",
                          "--head-learning-rate 0", "--norm-learning-rate 0", "--shots 0",
                          "--depth 7", "--data /no/such/folder", "--fashion . --data ."})
    CHECK_THROWS_AS(parse_images(bad), CLI::ParseError);
}
