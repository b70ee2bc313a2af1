#include <lora/frozen/dense_weight.hpp>
#include <lora/frozen/frozen_weight.hpp>
#include <lora/frozen/mapped_weight.hpp>
#include <lora/frozen/packed_weight.hpp>

#include "contracts/frozen_weight.hpp"
#include "support/plain_weight.hpp"

using namespace lora;
using namespace lora::test;

// Which storage models which concept, and that a scalar of another type is refused.
static_assert(FrozenWeight<PlainWeight<float>> && FrozenWeight<DenseWeight<float>> &&
              FrozenWeight<MappedWeight<float>> && FrozenWeight<PackedWeight<float>>);
static_assert(!FrozenWeight<DenseWeight<float>, double> && !FrozenWeight<Matrix<float>, float>);
static_assert(PanelWeight<DenseWeight<double>> && PanelWeight<MappedWeight<double>> &&
              PanelWeight<PackedWeight<double>> && !PanelWeight<PlainWeight<double>>);
static_assert(MergeableWeight<DenseWeight<float>> && MergeableWeight<MappedWeight<float>> &&
              MergeableWeight<PackedWeight<float>> && !MergeableWeight<PlainWeight<float>>);

namespace {
// Panels that do not say when they pay.
struct SilentPanels {
  kernels::Panel<float> panel(const kernels::PanelRequest&, float* buffer) const {
    return {buffer, 0};
  }
};
}  // namespace
static_assert(kernels::PanelSource<SilentPanels, float> && !WeightPanels<SilentPanels, float>);
static_assert(WeightPanels<kernels::MatrixPanels<float>, float>);

TEST_CASE("a storage without panels keeps the contract of a frozen weight") {
  check_frozen_weight<double>([](const Matrix<double>& w) { return PlainWeight<double>(w); });
}
