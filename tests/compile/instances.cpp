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

template class ConstMatrixRef<float>;
template class ConstMatrixRef<double>;
template class MatrixRef<float>;
template class FixedMatrix<float>;
template class Output<float>;
template class Parameter<float>;
template class ParameterList<float>;
template class Gradients<float>;
template class GradientTarget<float>;
template class Tape<float>;
template class DenseWeight<float>;
template class MappedWeight<float>;
template class PackedWeight<float>;
template class Attention<float>;
template class Dropout<float>;
template class LayerNorm<float>;
template class Linear<float>;
template class LoRAAdapter<float>;
template class AdapterSet<LoRAAdapter<float>>;
template class Published<AdapterSet<LoRAAdapter<float>>>;
template class MatrixList<Output<float>>;
template class MergeRecord<float>;
template class LoRALinear<float>;
template class AdaptedLayerView<float>;
template class AdaptedLayerRef<float>;
template class SGD<float>;
template class AdamW<float>;
template class LoRALinear<float, MappedWeight<float>>;
template class HalfWeight<float>;
template class HalfWeight<double, kernels::Float16Format>;
template class LoRALinear<float, PackedWeight<float>>;
template class MatrixRef<double>;
template class FixedMatrix<double>;
template class Output<double>;
template class Parameter<double>;
template class ParameterList<double>;
template class Gradients<double>;
template class GradientTarget<double>;
template class Tape<double>;
template class DenseWeight<double>;
template class MappedWeight<double>;
template class PackedWeight<double>;
template class Attention<double>;
template class Dropout<double>;
template class LayerNorm<double>;
template class Linear<double>;
template class LoRAAdapter<double>;
template class LoRALinear<double>;
template class AdaptedLayerView<double>;
template class AdaptedLayerRef<double>;
template class SGD<double>;
template class AdamW<double>;
template class LoRALinear<double, MappedWeight<double>>;
template class LoRALinear<double, PackedWeight<double>>;
template class BatchNorm<float>;
template class BatchNorm<double>;
template class Conv2d<float>;
template class Conv2d<double>;
template class LoRAConv2d<float>;
template class LoRAConv2d<double>;
template class LoRAConv2d<float, HalfWeight<float>>;

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
