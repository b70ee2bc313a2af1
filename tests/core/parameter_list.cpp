#include <lora/core/parameter_list.hpp>

#include <array>
#include <deque>
#include <vector>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::test;

namespace {

std::deque<Parameter<float>> parameters_called(std::initializer_list<const char*> names) {
  std::deque<Parameter<float>> all;
  for (const char* name : names) all.emplace_back(name, Matrix<float>::Zero(1, 2));
  return all;
}

}  // namespace

TEST_CASE("a list of parameters keeps their order, be they few or many") {
  std::deque<Parameter<float>> all = parameters_called({"a", "b", "c", "d", "e", "f"});
  ParameterList<float> list;
  CHECK(list.empty());
  for (std::size_t count = 1; count <= all.size(); ++count) {
    list.add(all[count - 1]);
    REQUIRE(list.size() == count);
    for (std::size_t i = 0; i < count; ++i) CHECK(list[i] == &all[i]);
    const ParameterList<float> copy = list;
    CHECK(std::vector<Parameter<float>*>(copy.begin(), copy.end()) ==
          std::vector<Parameter<float>*>(list.begin(), list.end()));
  }
  ParameterList<float> twice = list;
  twice.add(list);
  CHECK(twice.size() == 12);
  CHECK(twice[11] == &all[5]);
  CHECK(count_parameters(list) == 12);
}

TEST_CASE("a list whose parameter is gone is refused") {
  for (const std::size_t count : {std::size_t{1}, std::size_t{6}}) {
    std::vector<Parameter<float>> all;
    for (std::size_t i = 0; i < count; ++i) all.emplace_back("p", Matrix<float>::Zero(1, 2));
    ParameterList<float> list;
    for (Parameter<float>& parameter : all) list.add(parameter);
    CHECK_NOTHROW(zero_grad(list));
    all.reserve(all.capacity() + 1);  // each moves
    check_throws<StateError>([&] { zero_grad(list); }, "call parameters() again");
  }
}

TEST_CASE("a short list allocates nothing") {
  std::deque<Parameter<float>> all = parameters_called({"a", "b", "c"});
  CHECK(allocations_of([&] {
          ParameterList<float> list{&all[0], &all[1]};
          list.add(all[2]);
          zero_grad(list);
        }).count == 0);
}

TEST_CASE("two parameters of one name are refused, and one that is listed twice") {
  std::deque<Parameter<float>> all = parameters_called({"a", "b", "a", "c"});
  const ParameterList<float> good{&all[0], &all[1], &all[3]};
  CHECK_NOTHROW(require_distinct(good, "here"));
  check_throws<ConfigError>(
      [&] {
        require_distinct(ParameterList<float>{&all[0], &all[1], &all[2]}, "here");
      },
      "here: two parameters are called \"a\": give their layers names of their own with set_name");
  check_throws<ConfigError>(
      [&] {
        require_distinct(std::array<Parameter<float>*, 2>{&all[1], &all[1]}, "here");
      },
      "here: the parameter \"b\" is listed twice");
}
