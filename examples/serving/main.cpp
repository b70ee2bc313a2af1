// Serves one language model with many LoRA adapters: requests come as lines of JSON, are computed
// together whatever their adapters are, and adapters change meanwhile.
//
//     serving --model MODEL --adapters-dir adapters --requests requests.jsonl > answers.jsonl
//
// serving --help lists the options; README.md says what requests and answers are.

#include <CLI/CLI.hpp>
#include <cstddef>
#include <fstream>
#include <iostream>

#include "../support/run_program.hpp"
#include "options.hpp"
#include "serve.hpp"

namespace {

// Opens the requests' file, or takes standard input.
std::size_t serve(const serving::Options& options) {
  std::ifstream file;
  if (options.requests != "-") {
    file.open(options.requests);
    if (!file) throw lora::FileError(lora::printable(options.requests) + ": cannot open");
  }
  std::istream& in = options.requests == "-" ? std::cin : file;
  std::size_t refused = 0;
  textgen::with_family(options.model, [&]<class Family>(Family) {
    refused = serving::serve<Family>(options, in, std::cout, std::cerr);
  });
  return refused;
}

}  // namespace

int main(int argc, char** argv) {
  serving::Options options;
  CLI::App app{"Serves a language model with many LoRA adapters, requests from a file or a pipe"};
  app.footer(
      "A request is a line of JSON: {\"id\": 1, \"adapter\": \"french\", \"prompt\": \"...\"}, an "
      "answer too.\nSIGHUP reads all adapters again.\n"
      "Exit code: 0, all requests were answered; 1, the program could not go on; 2, some requests "
      "got an error; more than 100, a wrong option.");
  serving::add_options(app, options);
  CLI11_PARSE(app, argc, argv);
  serving::watch_hangups();
  std::size_t refused = 0;
  const int code = examples::run_program("serving", options.threads, [&] {
    refused = serve(options);
    return true;
  });
  return code == 0 && refused > 0 ? 2 : code;
}
