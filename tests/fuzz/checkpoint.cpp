// Reads any bytes as the checkpoint of a training run, and puts what it says into an optimizer and
// a parameter.
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include <lora/io/checkpoint.hpp>
#include <lora/optim/adamw.hpp>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lora;
  // A file that is in memory alone.
  static const int file = memfd_create("checkpoint", MFD_CLOEXEC);
  static const std::string path = "/proc/self/fd/" + std::to_string(file);
  if (ftruncate(file, 0) != 0 || pwrite(file, data, size, 0) != static_cast<ssize_t>(size))
    std::abort();
  try {
    const auto checkpoint = io::load_checkpoint<float>(path);
    std::size_t elements = 0;
    for (const auto& [name, value] : checkpoint.parameters)
      elements += static_cast<std::size_t>(value.size());
    for (const auto& [name, value] : checkpoint.optimizer.tensors)
      elements += static_cast<std::size_t>(value.size());
    if (elements * sizeof(float) > size) std::abort();
    AdamW<float> optimizer;
    optimizer.set_state(checkpoint.optimizer);
    Parameter<float> parameter("a", Matrix<float>::Ones(2, 3));
    Parameter<float>* all[] = {&parameter};
    io::set_values<float>(all, checkpoint.parameters);
    optimizer.step(all);
  } catch (const FileError&) {
    // What a file deserves that is not one.
  } catch (const StateError&) {
    // Another optimizer's state.
  } catch (const ConfigError&) {
    // Another model's parameters, or a setting out of range.
  } catch (const ShapeError&) {
    // Another model's parameters.
  }
  return 0;
}
