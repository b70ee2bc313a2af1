#include <lora/core/parameter.hpp>

#include <set>
#include <type_traits>
#include <utility>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"

using namespace lora;
using namespace lora::test;

// A vector that grows moves its elements only if nothing can throw.
static_assert(std::is_nothrow_move_constructible_v<Parameter<float>>);

TEST_CASE("a parameter's identity moves with it, and a copy has another") {
  Parameter<float> p("p", random_matrix<float>(2, 3, 1));
  const void* const key = p.identity().key();
  const Parameter<float> copy = p;
  CHECK(copy.identity().key() != key);
  CHECK(copy.value == p.value);
  const float* const at = p.value.data();
  Parameter<float> moved = std::move(p);
  CHECK(moved.value.data() == at);
  CHECK(moved.identity().key() == key);
  CHECK(moved.name == "p");
  Parameter<float> other;
  CHECK(other.identity().key() != key);
  other = std::move(moved);
  CHECK(other.identity().key() == key);
  CHECK(other.value == copy.value);
}

TEST_CASE("what is moved from is a parameter of its own, empty, that shares no identity") {
  Parameter<float> first("first", random_matrix<float>(2, 3, 1));
  Parameter<float> second("second", random_matrix<float>(2, 3, 2));
  const void* const key = first.identity().key();
  const ParameterIdentity kept = first.identity();
  const Parameter<float> moved = std::move(first), also_moved = std::move(second);
  CHECK(first.size() == 0);
  CHECK(first.name.empty());
  std::set<const void*> keys;
  for (const Parameter<float>* p :
       {&moved, &also_moved, &std::as_const(first), &std::as_const(second)}) {
    CHECK(p->identity().key() != nullptr);
    CHECK(!p->identity().remember().expired());
    keys.insert(p->identity().key());
  }
  CHECK(keys.size() == 4);
  CHECK(kept.key() == key);

  // Nothing else takes an identity away either: one that is moved from stays what it was.
  ParameterIdentity original;
  const ParameterIdentity copy = std::move(original);
  CHECK(original.key() == copy.key());
  Parameter<float>& itself = first;
  first = std::move(itself);
  CHECK(first.identity().key() != nullptr);
}

TEST_CASE("an identity that is remembered never comes again") {
  std::weak_ptr<const void> remembered;
  const void* key = nullptr;
  {
    const Parameter<float> p("p", Matrix<float>::Zero(1, 1));
    remembered = p.identity().remember();
    key = p.identity().key();
    CHECK(!remembered.expired());
  }
  CHECK(remembered.expired());
  for (int i = 0; i < 100; ++i) CHECK(Parameter<float>().identity().key() != key);
}

TEST_CASE("a parameter starts with a gradient of zeros of its shape") {
  Parameter<double> p("p", random_matrix<double>(2, 3, 1));
  CHECK(p.grad == Matrix<double>::Zero(2, 3));
  p.grad = p.value;
  p.zero_grad();
  CHECK(p.grad.isZero());
  CHECK(p.size() == 6);
}

TEST_CASE("a parameter carries the shape that files give it") {
  using lora::Index;
  using Shape = std::vector<Index>;
  lora::Parameter<float> bias("bias", lora::Matrix<float>::Zero(1, 12), {12});
  lora::Parameter<float> weight("weight", lora::Matrix<float>::Zero(2, 6));
  CHECK(bias.shape() == Shape{12});
  CHECK(weight.shape() == Shape{2, 6});
  weight.set_shape({2, 3, 1, 2});
  CHECK_THROWS_AS(weight.set_shape({5}), lora::ShapeError);
  CHECK(weight.shape() == Shape{2, 3, 1, 2});
  lora::Parameter<float> copy = weight, moved = std::move(weight);
  CHECK(copy.shape() == Shape{2, 3, 1, 2});
  CHECK(moved.shape() == Shape{2, 3, 1, 2});
  CHECK(weight.shape() == Shape{0, 0});
  moved = bias;
  CHECK(moved.shape() == Shape{12});
}
