#pragma once

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"

namespace lora::test {

/// Runs a program beside the test. It is killed if the test does not wait for its end.
class Process {
 public:
  /// Starts `program` with `arguments`; what it prints goes to the file `output`, or to the test's.
  Process(const std::string& program, std::vector<std::string> arguments,
          const std::string& output = {}) {
    arguments.insert(arguments.begin(), program);
#ifdef LORA_TEST_EMULATOR  // the programs are another machine's
    const std::vector<std::string> emulator{LORA_TEST_EMULATOR};
    arguments.insert(arguments.begin(), emulator.begin(), emulator.end());
#endif
    std::vector<char*> pointers;
    for (std::string& argument : arguments) pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    process_ = ::fork();
    REQUIRE(process_ >= 0);
    if (process_ > 0) return;
    if (!output.empty()) {
      const int file = ::open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
      ::dup2(file, STDOUT_FILENO);
      ::dup2(file, STDERR_FILENO);
    }
    ::execv(pointers[0], pointers.data());
    ::_exit(127);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process() {
    if (process_ == 0) return;
    kill();
    ::waitpid(process_, nullptr, 0);
  }

  void kill() const { ::kill(process_, SIGKILL); }

  /// Returns the signal that ended it, or 0 if it ended as it should.
  int wait() {
    int status = 0;
    REQUIRE(::waitpid(process_, &status, 0) == process_);
    process_ = 0;
    if (WIFSIGNALED(status)) return WTERMSIG(status);
    REQUIRE(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
    return 0;
  }

 private:
  pid_t process_ = 0;
};

}  // namespace lora::test
