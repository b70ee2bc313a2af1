// Files that differ from good ones in some bytes are refused with a FileError or loaded: nothing
// else is thrown, and nothing outside of the file is read (which the sanitizers would notice).
#include <lora/io.hpp>

#include <rapidcheck.h>

#include "peft/golden_net.hpp"
#include "support/catch.hpp"
#include "support/temporary_directory.hpp"
#include "support/tolerance.hpp"
#include "support/whole_file.hpp"

using namespace lora;
using namespace lora::io;
using namespace lora::peft;
using namespace lora::test;

namespace {

// Overwrites, inserts and removes a few bytes, and cuts the file short now and then.
std::string mutated(std::string bytes) {
  const int changes = *rc::gen::inRange(1, 6);
  for (int i = 0; i < changes && !bytes.empty(); ++i) {
    // The header, where the words are, more often than the numbers.
    const auto end = *rc::gen::element(bytes.size(), std::min<std::size_t>(bytes.size(), 400));
    const auto at = *rc::gen::inRange<std::size_t>(0, end);
    const char byte = *rc::gen::element('\0', '\xff', '0', '9', '1', '-', '.', 'e', '"', '[', ']',
                                        '{', '}', ',', ':', ' ', 'F', *rc::gen::arbitrary<char>());
    switch (*rc::gen::inRange(0, 8)) {
      case 0:
        bytes.insert(at, 1, byte);
        break;
      case 1:
        bytes.erase(at, *rc::gen::inRange<std::size_t>(1, 20));
        break;
      case 2:
        bytes.insert(at, bytes.substr(at, *rc::gen::inRange<std::size_t>(1, 40)));
        break;
      case 3:
        bytes.resize(at);
        break;
      default:
        bytes[at] = byte;
    }
  }
  return bytes;
}

// Returns whether `action` went through; everything but a FileError is the test's failure.
template <class Action>
bool loads(const Action& action) {
  try {
    action();
    return true;
  } catch (const FileError& error) {
    RC_ASSERT(!std::string(error.what()).empty());
    return false;
  }
}

}  // namespace

TEST_CASE("mutated adapters are refused or loaded, and change all or nothing") {
  const TemporaryDirectory directory;
  GoldenNet<float> net;
  const auto config = directory / adapter_config_file, weights = directory / adapter_weights_file;
  CHECK(rc::check([&] {
    const std::string name =
        *rc::gen::element<std::string>("plain", "patterns", "lora_only", "float16", "bfloat16");
    const auto from = net.adapters() / name;
    const bool settings = *rc::gen::inRange(0, 3) == 0;
    const std::string text = read_whole(from / adapter_config_file);
    const std::string tensors = read_whole(from / adapter_weights_file);
    write_whole(config, settings ? mutated(text) : text);
    write_whole(weights, settings ? tensors : mutated(tensors));
    const Matrix<float> before = net.wide.lora_A().value;
    const bool loaded = loads([&] { load_adapter(directory.path(), net.slots()); });
    RC_ASSERT(loaded || same_bits(before, net.wide.lora_A().value));
    RC_CLASSIFY(loaded);
  }));
}

TEST_CASE("mutated checkpoints are refused or loaded") {
  const TemporaryDirectory directory;
  Checkpoint<float> good;
  good.parameters["a"] = Matrix<float>::Ones(2, 3);
  good.optimizer = {"SGD", 0.1, {{"a", 1}}, {{"a.momentum", Matrix<float>::Ones(2, 3)}}};
  good.tapes = {{1, 2}};
  good.counters = {{"step", 3}};
  good.numbers = {{"best", 0.5}};
  save_checkpoint(directory / "good", good);
  const std::string bytes = read_whole(directory / "good");
  CHECK(rc::check([&] {
    write_whole(directory / "bad", mutated(bytes));
    RC_CLASSIFY(loads([&] { static_cast<void>(load_checkpoint<float>(directory / "bad")); }));
  }));
}
