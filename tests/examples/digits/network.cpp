#include "examples/digits/network.hpp"

#include "examples/digits/base.hpp"
#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/finite_difference.hpp"
#include "support/random_matrix.hpp"
#include "support/tolerance.hpp"

using namespace digits;
using namespace lora::test;

namespace {

constexpr Index pixels = 7, hidden = 9, classes = 4, images = 11;

Base<double> small_base() { return freeze(new_network<double>(pixels, hidden, 5, 1)); }

// Every gradient of the mean loss, against central differences of it.
template <class Hidden>
void check_gradients(Network<Hidden> network, std::size_t trained) {
  const lora::Matrix<double> x = random_matrix<double>(images, pixels, 3);
  std::vector<int> labels;
  for (int i = 0; i < images; ++i) labels.push_back(i % int(classes));
  const auto loss = [&] { return lora::cross_entropy(network.logits(x), labels); };
  Activations<double> a;
  const auto parameters = network.parameters();
  REQUIRE(parameters.size() == trained);
  network.forward(x, a);
  CHECK(same_bits(a.logits, network.logits(x)));
  CHECK(lora::cross_entropy(a.logits, labels, a.dlogits) == Approx(loss()));
  network.backward(x, a);
  CHECK(a.tape.empty());
  for (lora::Parameter<double>* parameter : parameters) {
    CAPTURE(parameter->name);
    CHECK(parameter->grad.norm() > 0);
    const auto expected = finite_difference(parameter->value, loss, 1e-5);
    CHECK(relative_error(parameter->grad, expected) < 1e-6);
  }
}

}  // namespace

TEST_CASE("the network's gradients are those of its loss, whatever is trained") {
  const Base<double> base = small_base();
  const auto head = new_head(base, classes, 2);
  check_gradients(full_network(base, head), 6);
  check_gradients(head_network(base, head), 2);
  auto adapted = lora_network(base, head, {.rank = 3}, 4);
  adapted.fc1.lora_B().value = random_matrix<double>(hidden, 3, 5);
  adapted.fc2.lora_B().value = random_matrix<double>(hidden, 3, 6);
  check_gradients(adapted, 6);
}

TEST_CASE("all ways of adapting start from the base") {
  const Base<double> base = small_base();
  const auto head = new_head(base, classes, 2);
  const lora::Matrix<double> x = random_matrix<double>(images, pixels, 3);
  const auto expected = full_network(base, head).logits(x);
  CHECK(same_bits(head_network(base, head).logits(x), expected));
  CHECK(same_bits(lora_network(base, head, {.rank = 3}, 4).logits(x), expected));
  CHECK(same_bits(mergeable_lora_network(base, head, {.rank = 3}, 4).logits(x), expected));
  // The base's own head still stands, on any of them.
  const auto old = new_network<double>(pixels, hidden, 5, 1).logits(x);
  CHECK(same_bits(lora_network(base, head, {.rank = 3}, 4).logits(x, base.head), old));
}

TEST_CASE("layers that start from one seed differ") {
  const auto network = new_network<double>(hidden, hidden, hidden, 1);
  CHECK(network.fc1.weight().value != network.fc2.weight().value);
  CHECK(network.fc2.weight().value != network.head.weight().value);
  const Base<double> base = freeze(new_network<double>(hidden, hidden, hidden, 1));
  CHECK(new_head(base, hidden, 1).weight().value != base.head.weight().value);
  const auto adapted = lora_network(base, new_head(base, hidden, 1), {.rank = 2}, 1);
  CHECK(adapted.fc1.lora_A().value != adapted.fc2.lora_A().value);
}

TEST_CASE("an adapted network borrows the base's weights and allocates its second step nothing") {
  const Base<float> base = freeze(new_network<float>(64, 256, 5, 1));
  const auto head = new_head(base, 5, 2);
  const auto built = allocations_of([&] {
    const auto adapted = lora_network(base, head, {.rank = 2}, 3);
    CHECK(adapted.total_parameters() > 80000);
  });
  CHECK(built.bytes < 256 * 256 * sizeof(float) / 4);

  auto adapted = lora_network(base, head, {.rank = 2}, 3);
  const lora::Matrix<float> x = random_matrix<float>(32, 64, 3);
  const std::vector<int> labels(32, 1);
  Activations<float> a;
  const auto step = [&] {
    adapted.forward(x, a);
    lora::cross_entropy(a.logits, labels, a.dlogits);
    adapted.backward(x, a);
  };
  step();
  CHECK(allocations_of(step).count == 0);
}
