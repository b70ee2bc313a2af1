#include "examples/images/run_method.hpp"

#include <ostream>
#include <sstream>

#include "benchmarks/well_formed.hpp"
#include "examples/images/report.hpp"
#include "examples/images/tiny_fashion.hpp"
#include "support/catch.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"

using namespace lora::test;
using Catch::Matchers::ContainsSubstring;

TEST_CASE("a ResNet is trained, adapted by every method, saved and loaded again") {
  const TemporaryDirectory directory;
  write_tiny_fashion(directory / "fashion", 30, 9);
  const auto options = tiny_options(directory.path());
  const auto problem = images_example::fashion_problem(options);
  std::ostringstream drawn;
  examples::ProgressBar progress(drawn, false, "the base",
                                 images_example::base_steps(options, problem));
  const auto folder = directory / "base";
  images_example::train_base(options, problem, folder, progress);
  const auto base = images_example::open_base(folder, problem, options.batch);
  CHECK(base.old_accuracy > 90);
  CHECK(base.parameters == 77429);
  const auto train = images_example::draw(problem.pool, options.shots, 5, 1);

  images_example::Results results(1);
  for (const auto& method : images_example::methods(options, base.config)) {
    CAPTURE(method.name);
    int steps = 0;
    results[0].push_back(images_example::run_method(method, base, problem, train, options, 1,
                                                    directory / method.folder, [&] { ++steps; }));
    const auto& result = results[0].back();
    CHECK(steps == 12 * 3);   // 25 images in batches of 10
    CHECK(result.test > 30);  // by chance 20
    CHECK(result.stored > 0);
    CHECK((result.old_off.has_value() == (method.family == images_example::Family::head ||
                                          method.family == images_example::Family::lora)));
    if (result.old_off) CHECK(*result.old_off == base.old_accuracy);
    CHECK(result.reloads.has_value() == (method.family == images_example::Family::lora));
    if (result.reloads) CHECK(*result.reloads);
  }
  REQUIRE(results[0].size() == 4);
  CHECK(results[0][0].trainable == 5 * 64 + 5);
  CHECK(results[0][3].trainable == 77429);
  CHECK(results[0][0].old_on == base.old_accuracy);

  std::ostringstream out;
  images_example::print_table(results, base.parameters, out);
  CHECK(images_example::print_agreement(results, "out", out));
  CHECK_THAT(out.str(), ContainsSubstring("LoRA, rank 2") && ContainsSubstring("1 of 1"));
  results[0][2].reloads = false;
  CHECK(!images_example::print_agreement(results, "out", out));
  CHECK_THAT(out.str(), ContainsSubstring("This is not as it must be."));
  CHECK(fault_of_xml(images_example::chart(results, "a < b").svg()) == "");

  auto coloured = problem;
  coloured.test.channels = 3;
  check_throws<lora::FileError>(
      [&] { static_cast<void>(images_example::open_base(folder, coloured, 10)); },
      "takes images of 1 channels, these have 3");
}
