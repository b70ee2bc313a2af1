#pragma once

#include <atomic>
#include <cstddef>
#include <fstream>
#include <istream>
#include <ostream>
#include <thread>

#include "adapter_folders.hpp"
#include "adapter_watcher.hpp"
#include "answer_writer.hpp"
#include "batcher.hpp"
#include "read_requests.hpp"
#include "watch_folders.hpp"

namespace serving {

namespace detail {

// Ends what two threads wait for, and waits for them.
class Helpers {
 public:
  Helpers(AdapterWatcher& watcher, double poll, std::istream& in, Index max_tokens,
          RequestQueue& queue)
      : queue_(queue),
        watch_([this, &watcher, poll] { watch_folders(watcher, poll, done_); }),
        read_([&in, max_tokens, &queue] { read_requests(in, max_tokens, queue); }) {}
  Helpers(const Helpers&) = delete;
  Helpers& operator=(const Helpers&) = delete;
  ~Helpers() {
    done_ = true;
    queue_.end();
    watch_.join();
    read_.join();
  }

 private:
  RequestQueue& queue_;
  std::atomic<bool> done_ = false;
  std::thread watch_, read_;
};

}  // namespace detail

/// Answers the requests of `in`, a line each, until they end: answers to `out`, news of adapters
/// and, in the end, statistics to `errors`. Returns how many requests got an error instead of an
/// answer. Throws what loading throws, and FileError where answers cannot be written.
template <class Family>
std::size_t serve(const Options& options, std::istream& in, std::ostream& out,
                  std::ostream& errors) {
  AdapterFolders folders(options.adapters, options.adapters_dir);
  BaseModel<Family> base(options.model);
  AdapterStore store(base.registry);
  AdapterWatcher watcher(std::move(folders), store, errors);
  AnswerWriter writer(out, options.as_finished);
  Batcher<Family> batcher(base, store, options,
                          [&](const Answer& answer) { writer.write(answer); });
  RequestQueue queue(static_cast<std::size_t>(options.queue));
  {
    const detail::Helpers helpers(watcher, options.poll, in, options.max_tokens, queue);
    for (bool more = true; more || batcher.busy();) {
      while (more && batcher.has_room()) {
        auto arrival = queue.pop(!batcher.busy());
        if (!arrival) {
          more = batcher.busy();  // or the end was waited for
          break;
        }
        batcher.admit(std::move(*arrival));
      }
      if (batcher.busy()) batcher.step();
    }
  }
  batcher.statistics().print(errors);
  return writer.refused();
}

}  // namespace serving
