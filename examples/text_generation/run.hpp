#pragma once

#include <iostream>

#include "commands.hpp"
#include "demo.hpp"
#include "request.hpp"

namespace textgen {

template <class Frozen>
void run(const Request& request) {
  // No structured binding: clang before 16 does not capture one.
  const Common& common = request.common;
  const TrainOptions& training = request.training;
  const WriteOptions& writing = request.writing;
  const bool terminal = request.terminal;
  with_family<Frozen>(common.model, [&]<class Family>(Family) {
    switch (request.command) {
      case Command::train:
        return train_command<Family>(common, training, std::cout, std::cerr, terminal);
      case Command::generate:
        return generate_command<Family>(common, writing, std::cout);
      case Command::chat:
        return chat_command<Family>(common, writing, std::cin, std::cout);
      case Command::perplexity:
        return perplexity_command<Family>(common, training, std::cout);
      case Command::demo:
        WriteOptions seeded = writing;
        seeded.seed = training.seed;
        return textgen::demo<Family>(common, training, request.demo, seeded, std::cout, std::cerr,
                                     terminal);
    }
  });
}

}  // namespace textgen
