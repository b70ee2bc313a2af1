#pragma once

#include "options.hpp"

namespace textgen {

enum class Command { train, generate, chat, perplexity, demo };

/// What a command line asks for.
struct Request {
  Command command = Command::generate;
  Common common = {};
  TrainOptions training = {};
  WriteOptions writing = {};
  DemoOptions demo = {};
  bool terminal = false;  ///< whether the error output is one
};

/// Does what is asked for with a model whose frozen weights lie in the storage `Frozen`. Each
/// storage is a program of its own to the compiler: those that --weights names are compiled in
/// files of their own, weights_*.cpp.
template <class Frozen>
void run(const Request& request);

}  // namespace textgen
