#include <lora/models/common/routed_head.hpp>

#include <vector>

#include <lora/layers/lora_linear.hpp>
#include <lora/nn/language_model_loss.hpp>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::models;
using namespace lora::test;

TEST_CASE("a head of a mixed batch trains the adapter of each row, some rows at a time") {
  using T = double;
  LoRALinear<T> head(DenseWeight<T>(random_matrix<T>(11, 5, 1)));
  for (const char* name : {"a", "b"}) {
    LoRAAdapter<T> adapter(11, 5, {.rank = 2}, 1);
    adapter.b().value = random_matrix<T>(11, 2, static_cast<std::uint64_t>(name[0]));
    head.add_adapter(name, std::move(adapter));
  }
  const std::vector<int> labels{3, ignored_label, 4, 0, ignored_label, 10};
  const std::vector<std::string> names{"b", "a", "a", "b", "__base__", "__base__"};
  const Matrix<T> hidden = random_matrix<T>(6, 5, 2);
  const AdapterRoutes routes(names);
  Matrix<T> dhidden, own_dhidden;
  Tape<T> tape;
  auto alone = head;
  const auto loss =
      language_model_loss<T>(RoutedHead<T, LoRALinear<T>>(head, routes), hidden, labels, Index{4},
                             tape, GradientTarget<T>::own(), dhidden);
  CHECK(tape.empty());
  CHECK(loss.tokens == 4);
  double sum = 0;
  for (const std::string name : {"a", "b", "__base__"}) {
    auto some = labels;
    for (std::size_t i = 0; i < names.size(); ++i)
      if (names[i] != name) some[i] = ignored_label;
    name == base_adapter ? alone.unset_adapter() : alone.set_adapter(name);
    sum += language_model_loss<T>(alone, hidden, some, Index{4}, tape, own_dhidden).sum;
    for (Index i = 0; i < 6; ++i)
      if (some[static_cast<std::size_t>(i)] != ignored_label)
        CHECK(largest_difference(dhidden.row(i), own_dhidden.row(i)) < 1e-14);
    if (name == base_adapter) continue;
    for (const std::size_t i : {0u, 1u})
      CHECK(largest_difference(head.parameters({name})[i]->grad, alone.parameters()[i]->grad) <
            1e-14);
  }
  CHECK(std::abs(sum - loss.sum) < 1e-12);
}
