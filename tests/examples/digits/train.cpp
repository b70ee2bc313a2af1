#include "examples/digits/train.hpp"

#include "examples/digits/base.hpp"
#include "examples/digits/embedded.hpp"
#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/threads.hpp"
#include "support/tolerance.hpp"

using namespace digits;
using namespace lora::test;

namespace {

const auto nothing = [] {};

}  // namespace

TEST_CASE("training learns the digits, and the same seed learns the same") {
  const Split data = task(split(embedded_samples(), 1), 0, 4);
  const auto trained = [&](std::uint64_t seed) {
    auto network = new_network<float>(64, 64, 5, 1);
    int epochs = 0;
    train(network, data.train, {.epochs = 8, .learning_rate = 3e-3, .seed = seed},
          [&epochs] { ++epochs; });
    CHECK(epochs == 8);
    return network.logits(data.validation.images);
  };
  const lora::Matrix<float> logits = trained(1);
  // A guess would be right for one in five.
  CHECK(accuracy(logits, data.validation.labels) > 80);
  CHECK(same_bits(trained(1), logits));
  CHECK_FALSE(same_bits(trained(2), logits));
}

TEST_CASE("fewer images than a batch are one batch") {
  const Split data = task(split(embedded_samples(), 1), 0, 4);
  const std::vector<Index> order{0, 1, 2, 3, 4};
  const Samples few = pick(data.train, order, 0, 5);
  auto network = new_network<float>(64, 16, 5, 1);
  const double before = lora::cross_entropy(network.logits(few.images), few.labels);
  train(network, few, {.epochs = 20, .batch = 32}, nothing);
  CHECK(lora::cross_entropy(network.logits(few.images), few.labels) < before);
}

TEST_CASE("training changes what it lists and nothing else") {
  const Split data = task(split(embedded_samples(), 1), 5, 9);
  const Base<float> base = freeze(new_network<float>(64, 32, 5, 1));
  const lora::Matrix<float> fc1 = base.fc1.weight, fc2 = base.fc2.weight;
  const auto head = new_head(base, 5, 2);
  auto adapted = lora_network(base, head, {.rank = 2, .dropout = 0.1}, 3);
  train(adapted, data.train, {.epochs = 1}, nothing);
  auto head_alone = head_network(base, head);
  train(head_alone, data.train, {.epochs = 1}, nothing);
  CHECK(same_bits(base.fc1.weight, fc1));
  CHECK(same_bits(base.fc2.weight, fc2));
  CHECK(adapted.fc1.lora_B().value.norm() > 0);
  CHECK_FALSE(same_bits(head_alone.head.weight().value, head.weight().value));
}

TEST_CASE("the counted memory is what the heap gave") {
  const Threads one(1);
  const Split data = task(split(embedded_samples(), 1), 5, 9);
  const Base<float> base = freeze(new_network<float>(64, 256, 5, 1));
  const auto head = new_head(base, 5, 2);
  const auto borrowed =
      static_cast<double>((base.fc1.weight.size() + base.fc2.weight.size()) * Index{sizeof(float)});
  // Nothing that training takes is given back before its end, save the order of the images and the
  // batches cut from it, once to count them and once for the epoch.
  const auto check = [&](const auto& make, double without) {
    const auto run = [&] {
      auto network = make();
      return train(network, data.train, {.epochs = 1}, nothing).bytes;
    };
    const auto counted = static_cast<double>(run()) - without;
    const auto taken = static_cast<double>(allocations_of([&] { run(); }).bytes);
    const auto order = static_cast<double>(data.train.size() * Index{sizeof(Index)});
    CHECK(taken >= counted);
    CHECK(taken <= 1.02 * counted + 4 * order + 20480);  // lists and marks of parameters, batches
  };
  check([&] { return full_network(base, head); }, 0);
  check([&] { return head_network(base, head); }, borrowed);
  check([&] { return lora_network(base, head, {.rank = 8}, 3); }, borrowed);
}

TEST_CASE("accuracy is the share of right answers") {
  lora::Matrix<float> logits(4, 3);
  logits << 1, 2, 3, 3, 2, 1, 0, 5, 0, -1, -2, -3;
  CHECK(accuracy(logits, {2, 0, 1, 1}) == 75);
}
