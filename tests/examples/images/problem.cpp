#include "examples/images/problem.hpp"

#include <algorithm>

#include "examples/images/tiny_fashion.hpp"
#include "support/catch.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"

using namespace lora::test;
using images_example::LabelledImages;

TEST_CASE("Fashion-MNIST's classes are the old task and the new one") {
  const TemporaryDirectory directory;
  write_tiny_fashion(directory / "fashion", 30, 9);
  const auto options = tiny_options(directory.path());
  const auto problem = images_example::fashion_problem(options);
  CHECK(problem.classes.size() == 5);
  CHECK(problem.old_train.size() == 150);
  CHECK(problem.old_test.size() == 5 * 8);
  CHECK(problem.test.size() == 5 * 8);
  CHECK(problem.pool.size() == 5 * 30);
  // Class 7 is the third of the new ones: it has three bright columns.
  CHECK(problem.test.labels[2] == 2);
  CHECK(*problem.test.image(2).pixel(0, 2) >= 180);
  CHECK(*problem.test.image(2).pixel(0, 3) < 180);
}

TEST_CASE("few images are drawn of each class, by the seed alone") {
  const TemporaryDirectory directory;
  write_tiny_fashion(directory / "fashion", 30, 9);
  const auto problem = images_example::fashion_problem(tiny_options(directory.path()));
  const LabelledImages some = images_example::draw(problem.pool, 4, 5, 1);
  CHECK(some.size() == 20);
  for (int label = 0; label < 5; ++label)
    CHECK(std::count(some.labels.begin(), some.labels.end(), label) == 4);
  CHECK(images_example::draw(problem.pool, 4, 5, 1).bytes == some.bytes);
  CHECK(images_example::draw(problem.pool, 4, 5, 2).bytes != some.bytes);
  check_throws<lora::FileError>(
      [&] { static_cast<void>(images_example::draw(problem.pool, 31, 5, 1)); },
      "class 0 has 30 images to train with, expected 31");
}

TEST_CASE("photographs are divided by the seed, and a class of too few is named") {
  const TemporaryDirectory directory;
  for (const char* name : {"a/1", "a/2", "a/3", "b/1", "b/2", "b/3"}) {
    const auto path = directory / "photos" / (std::string(name) + ".pgm");
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << "P5 1 1 255\n" << static_cast<char>(name[2] * 2);
  }
  auto options = tiny_options(directory.path());
  options.data = (directory / "photos").string();
  options.shots = 2;
  lora::images::Preprocessing how;
  how.height = how.width = 8;
  const auto problem = images_example::photo_problem(options, how, [] {});
  CHECK(problem.classes == std::vector<std::string>{"a", "b"});
  CHECK(problem.pool.size() == 4);
  CHECK(problem.test.size() == 2);
  // No photograph is in both.
  for (int label = 0; label < 2; ++label)
    for (lora::Index i = 0; i < 4; ++i)
      if (problem.pool.labels[static_cast<std::size_t>(i)] == label)
        CHECK(*problem.pool.image(i).pixel(0, 0) != *problem.test.image(label).pixel(0, 0));
  options.shots = 3;
  check_throws<lora::FileError>(
      [&] { static_cast<void>(images_example::photo_problem(options, how, [] {})); },
      "has 3 photographs, expected more than the 3 to train with");
  how.fitting = lora::images::Fitting::none;
  check_throws<lora::FileError>(
      [&] { static_cast<void>(images_example::photo_problem(options, how, [] {})); },
      "does not say to which size");
}
