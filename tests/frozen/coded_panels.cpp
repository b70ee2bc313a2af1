#include <lora/frozen/coded_panels.hpp>

#include <lora/frozen/block_weight.hpp>

#include "contracts/panel_weight.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("panels of coded rows pay from more rows than registers decode") {
  const auto weight =
      BlockWeight<float>::encoded(kernels::BlockFormat::F16, random_matrix<float>(50, 70, 1));
  const auto panels = weight.panels();
  using Panels = std::decay_t<decltype(panels)>;
  CHECK_FALSE(panels.pays(1));
  CHECK_FALSE(panels.pays(Panels::few_rows));
  CHECK(panels.pays(Panels::few_rows + 1));
  CHECK(weight.transposed_panels().pays(Panels::few_rows + 1));
  check_panels<float>(panels, Matrix<float>(weight.dense().transpose()));
}
