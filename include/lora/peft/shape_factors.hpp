#pragma once

#include <string>
#include <utility>
#include <vector>

#include "lora/core/error.hpp"
#include "lora/core/printable.hpp"
#include "lora/io/tensor_view.hpp"
#include "lora/peft/adapter_values.hpp"
#include "lora/peft/adapter_weights.hpp"

namespace lora::peft {

/// Gives factors of convolutions that are matrices, as AdaLoRA stores them, A (rank, in kh kw) and
/// B (out, rank), the shapes that a plain adapter's have: A (rank, in, kh, kw) and B (out, rank, 1,
/// 1), by the kernels (out, in, kh, kw) of `base`; of sequences likewise. So save_adapter writes
/// what PEFT and the layers load. Other factors stay as they are, and so do those that base has no
/// weight of. Throws ShapeError, naming the module, for factors that do not fit its kernel; then
/// nothing has changed.
template <class T>
void shape_factors(AdapterValues<T>& adapter, const BaseTensors& base) {
  std::vector<std::pair<LoRAFactors<T>*, io::Shape>> kernels;
  for (auto& [module, factors] : adapter.modules) {
    if (factors.is_embedding || factors.a.shape.size() != 2 || factors.b.shape.size() != 2)
      continue;
    const io::TensorView* const weight = base(module + ".weight");
    if (weight == nullptr || weight->shape.size() < 3) continue;
    const MatrixShape size(weight->shape);
    if (factors.b.value.rows() != size.rows || factors.a.value.cols() != size.cols)
      throw ShapeError(message("shape_factors: A and B of ", in_quotes(module), " are ",
                               shape_of(factors.a.value), " and ", shape_of(factors.b.value),
                               ", and its kernel is ", io::shape_text(weight->shape)));
    kernels.emplace_back(&factors, weight->shape);
  }
  for (auto& [factors, kernel] : kernels) {
    io::Shape b(kernel.size(), 1);
    b[0] = factors->b.shape[0];
    b[1] = factors->b.shape[1];
    kernel[0] = factors->a.shape[0];
    factors->a.shape = kernel;
    factors->b.shape = b;
  }
}

}  // namespace lora::peft
