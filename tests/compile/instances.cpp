// Instantiates every class template for the scalars that they promise to work with.
#include <lora/lora.hpp>
#ifdef LORA_TEST_IO
#include <lora/images.hpp>
#include <lora/io.hpp>
#include <lora/models.hpp>
#include <lora/train.hpp>
#endif
#ifdef LORA_TEST_TEXT
#include <lora/text.hpp>
#endif
#ifdef LORA_TEST_GZIP
#include <lora/gzip.hpp>
#endif

namespace lora {

// NOLINTBEGIN(bugprone-macro-parentheses): T stands where no parenthesis may.
#define LORA_INSTANTIATE(T)                             \
  template class ConstMatrixRef<T>;                     \
  template class MatrixRef<T>;                          \
  template class FixedMatrix<T>;                        \
  template class Output<T>;                             \
  template class Parameter<T>;                          \
  template class ParameterList<T>;                      \
  template class Gradients<T>;                          \
  template class GradientTarget<T>;                     \
  template class Tape<T>;                               \
  template class DenseWeight<T>;                        \
  template class MappedWeight<T>;                       \
  template class PackedWeight<T>;                       \
  template class HalfWeight<T>;                         \
  template class Attention<T>;                          \
  template class Dropout<T>;                            \
  template class LayerNorm<T>;                          \
  template class RMSNorm<T>;                            \
  template class Linear<T>;                             \
  template class BatchNorm<T>;                          \
  template class Conv2d<T>;                             \
  template class LoRAAdapter<T>;                        \
  template class AdapterSet<LoRAAdapter<T>>;            \
  template class Published<AdapterSet<LoRAAdapter<T>>>; \
  template class MatrixList<Output<T>>;                 \
  template class MergeRecord<T>;                        \
  template class LoRALinear<T>;                         \
  template class LoRALinear<T, MappedWeight<T>>;        \
  template class LoRALinear<T, PackedWeight<T>>;        \
  template class LoRAConv2d<T>;                         \
  template class LoRAConv2d<T, HalfWeight<T>>;          \
  template class AdaptedLayerView<T>;                   \
  template class AdaptedLayerRef<T>;                    \
  template class SGD<T>;                                \
  template class AdamW<T>
// NOLINTEND(bugprone-macro-parentheses)

LORA_INSTANTIATE(float);
LORA_INSTANTIATE(double);
template class HalfWeight<double, kernels::Float16Format>;

}  // namespace lora

#ifdef LORA_TEST_IO
namespace lora::io {

template struct Checkpoint<float>;
template struct Checkpoint<double>;
template void save_checkpoint<float>(const std::filesystem::path&, const Checkpoint<float>&);
template void save_checkpoint<double>(const std::filesystem::path&, const Checkpoint<double>&);
template Checkpoint<float> load_checkpoint<float>(const std::filesystem::path&);
template Checkpoint<double> load_checkpoint<double>(const std::filesystem::path&);
template void set_values<float>(const ParameterList<float>&,
                                const std::map<std::string, Matrix<float>>&);
template void set_values<double>(const ParameterList<double>&,
                                 const std::map<std::string, Matrix<double>>&);

}  // namespace lora::io

namespace lora::train {

template struct Split<int>;
template class Accumulation<float>;
template class Accumulation<double>;
template struct SavedRun<float>;
template SavedRun<double> read_run<double>(const std::filesystem::path&, const RunSettings&);

}  // namespace lora::train

namespace lora::peft {

template class PatternMap<Index>;
template class PatternMap<double>;
template struct AdapterSaveOptions<float>;
template struct AdapterLoadOptions<float>;
template void save_adapter<float>(const std::filesystem::path&,
                                  const std::vector<AdaptedLayerRef<float>>&,
                                  const AdapterSaveOptions<float>&);
template void save_adapter<double>(const std::filesystem::path&,
                                   const std::vector<AdaptedLayerRef<double>>&,
                                   const AdapterSaveOptions<double>&);
template PeftConfig load_adapter<float>(const std::filesystem::path&,
                                        const std::vector<AdaptedLayerRef<float>>&,
                                        const AdapterLoadOptions<float>&);
template PeftConfig load_adapter<double>(const std::filesystem::path&,
                                         const std::vector<AdaptedLayerRef<double>>&,
                                         const AdapterLoadOptions<double>&);

}  // namespace lora::peft

namespace lora::models {

template class BertModel<float>;
template class BertModel<double, MappedWeight<double>>;
template class BertClassifier<float, BertTask::sequence_classification>;
template class BertClassifier<float, BertTask::token_classification, MappedWeight<float>>;
template class BertClassifier<double, BertTask::sequence_classification, DenseWeight<double>>;
template class ResNetClassifier<float>;

}  // namespace lora::models
#endif
