#pragma once

// What lora::compiled holds of the functions that layers compute with, for float. See
// compiled/lora.hpp. A layer's own members stand in its class, so a compiler reads them again in
// each program, in order to inline them; it stops where they call one of these.

#include "lora/core/fixed_matrix.hpp"
#include "lora/frozen/dense_weight.hpp"
#include "lora/frozen/frozen_passes.hpp"
#include "lora/frozen/mapped_weight.hpp"
#include "lora/frozen/packed_weight.hpp"
#include "lora/init/gaussian.hpp"
#include "lora/init/kaiming_uniform.hpp"
#include "lora/init/orthogonal.hpp"
#include "lora/kernels/low_rank_gradients.hpp"
#include "lora/kernels/low_rank_path.hpp"
#include "lora/layers/dora.hpp"
#include "lora/layers/dora_norms.hpp"
#include "lora/nn/bias_gradient.hpp"

#ifndef LORA_COMPILED_INSTANCE
#define LORA_COMPILED_INSTANCE extern template
#endif

namespace lora {

LORA_COMPILED_INSTANCE void gaussian<float>(MatrixRef<float>, const Random&, double, std::uint64_t);
LORA_COMPILED_INSTANCE void kaiming_uniform<float>(MatrixRef<float>, const Random&, double,
                                                   std::uint64_t);
LORA_COMPILED_INSTANCE StartFactors<float> orthogonal<float>(Index, Index, Index, const Random&);
LORA_COMPILED_INSTANCE void add_bias_gradient<float>(ConstMatrixRef<float>, MatrixRef<float>);
LORA_COMPILED_INSTANCE void add_bias_gradient<float>(ConstMatrixRef<float>, float,
                                                     MatrixRef<float>);

LORA_COMPILED_INSTANCE void DoraNorms<float>::compute(const DenseWeight<float>&,
                                                      ConstMatrixRef<float>, ConstMatrixRef<float>,
                                                      float, float*) const;
LORA_COMPILED_INSTANCE void DoraNorms<float>::recall(const DenseWeight<float>&,
                                                     ConstMatrixRef<float>, ConstMatrixRef<float>,
                                                     float, float*) const;

LORA_COMPILED_INSTANCE void DoraNorms<float>::compute(const MappedWeight<float>&,
                                                      ConstMatrixRef<float>, ConstMatrixRef<float>,
                                                      float, float*) const;
LORA_COMPILED_INSTANCE void DoraNorms<float>::recall(const MappedWeight<float>&,
                                                     ConstMatrixRef<float>, ConstMatrixRef<float>,
                                                     float, float*) const;

LORA_COMPILED_INSTANCE void DoraNorms<float>::compute(const PackedWeight<float>&,
                                                      ConstMatrixRef<float>, ConstMatrixRef<float>,
                                                      float, float*) const;
LORA_COMPILED_INSTANCE void DoraNorms<float>::recall(const PackedWeight<float>&,
                                                     ConstMatrixRef<float>, ConstMatrixRef<float>,
                                                     float, float*) const;

}  // namespace lora

namespace lora::low_rank_path {

LORA_COMPILED_INSTANCE void forward<float>(ConstMatrixRef<float>, std::span<const Input<float>>);
LORA_COMPILED_INSTANCE void gradient_of_xa<float>(ConstMatrixRef<float>, ConstMatrixRef<float>,
                                                  MatrixRef<float>);
LORA_COMPILED_INSTANCE void backward<float>(ConstMatrixRef<float>, ConstMatrixRef<float>,
                                            ConstMatrixRef<float>, float, const DropoutMask&,
                                            MatrixRef<float>, MatrixRef<float>);
LORA_COMPILED_INSTANCE void add_gradients<float>(ConstMatrixRef<float>,
                                                 std::span<const Gradients<float>>);

}  // namespace lora::low_rank_path

namespace lora::frozen_passes {

LORA_COMPILED_INSTANCE void forward<float>(const DenseWeight<float>&, ConstMatrixRef<float>,
                                           const float*, const LowRankPart<float>&,
                                           MatrixRef<float>);
LORA_COMPILED_INSTANCE void backward<float>(const DenseWeight<float>&, ConstMatrixRef<float>,
                                            const LowRankPart<float>&, MatrixRef<float>, bool);

LORA_COMPILED_INSTANCE void forward<float>(const MappedWeight<float>&, ConstMatrixRef<float>,
                                           const float*, const LowRankPart<float>&,
                                           MatrixRef<float>);
LORA_COMPILED_INSTANCE void backward<float>(const MappedWeight<float>&, ConstMatrixRef<float>,
                                            const LowRankPart<float>&, MatrixRef<float>, bool);

LORA_COMPILED_INSTANCE void forward<float>(const PackedWeight<float>&, ConstMatrixRef<float>,
                                           const float*, const LowRankPart<float>&,
                                           MatrixRef<float>);
LORA_COMPILED_INSTANCE void backward<float>(const PackedWeight<float>&, ConstMatrixRef<float>,
                                            const LowRankPart<float>&, MatrixRef<float>, bool);

}  // namespace lora::frozen_passes

namespace lora::dora {

LORA_COMPILED_INSTANCE void scale_outputs<float>(ConstMatrixRef<float>, const float*, const float*,
                                                 MatrixRef<float>);
LORA_COMPILED_INSTANCE ConstMatrixRef<float> backward<float>(ConstMatrixRef<float>,
                                                             Tape<float>::Frame&, std::size_t,
                                                             MatrixRef<float>, Scratch&);

LORA_COMPILED_INSTANCE void forward<float>(const DenseWeight<float>&, ConstMatrixRef<float>,
                                           const float*, const kernels::LowRankPart<float>&,
                                           const std::optional<DropoutMask>&, const Gains<float>&,
                                           MatrixRef<float>, MatrixRef<float>);
LORA_COMPILED_INSTANCE void masked_backward<float>(const DenseWeight<float>&, ConstMatrixRef<float>,
                                                   ConstMatrixRef<float>,
                                                   const kernels::LowRankPart<float>&,
                                                   const DropoutMask&, MatrixRef<float>, bool);

LORA_COMPILED_INSTANCE void forward<float>(const MappedWeight<float>&, ConstMatrixRef<float>,
                                           const float*, const kernels::LowRankPart<float>&,
                                           const std::optional<DropoutMask>&, const Gains<float>&,
                                           MatrixRef<float>, MatrixRef<float>);
LORA_COMPILED_INSTANCE void masked_backward<float>(const MappedWeight<float>&,
                                                   ConstMatrixRef<float>, ConstMatrixRef<float>,
                                                   const kernels::LowRankPart<float>&,
                                                   const DropoutMask&, MatrixRef<float>, bool);

LORA_COMPILED_INSTANCE void forward<float>(const PackedWeight<float>&, ConstMatrixRef<float>,
                                           const float*, const kernels::LowRankPart<float>&,
                                           const std::optional<DropoutMask>&, const Gains<float>&,
                                           MatrixRef<float>, MatrixRef<float>);
LORA_COMPILED_INSTANCE void masked_backward<float>(const PackedWeight<float>&,
                                                   ConstMatrixRef<float>, ConstMatrixRef<float>,
                                                   const kernels::LowRankPart<float>&,
                                                   const DropoutMask&, MatrixRef<float>, bool);

}  // namespace lora::dora
