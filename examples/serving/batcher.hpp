#pragma once

#include <algorithm>
#include <cstddef>
#include <exception>
#include <functional>
#include <lora/layers/adapter_routes.hpp>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "adapter_store.hpp"
#include "base_model.hpp"
#include "options.hpp"
#include "slot.hpp"
#include "statistics.hpp"

namespace serving {

/// Requests that are answered together, each with its adapter. One may join after any step, and
/// leaves when its answer is whole: the others do not wait for it. One thread calls it; adapters
/// may come and go in the store meanwhile.
template <class Family>
class Batcher {
 public:
  /// Is told of each answer.
  using Tell = std::function<void(const Answer&)>;

  /// Makes room for options.batch requests of options.context tokens. What is passed by reference
  /// outlives it. Throws ConfigError for more context than the model has positions.
  Batcher(const BaseModel<Family>& base, AdapterStore& store, const Options& options, Tell tell)
      : language_(base.language),
        registry_(base.registry),
        store_(store),
        prompt_tokens_(options.prompt_tokens),
        tell_(std::move(tell)),
        slots_(static_cast<std::size_t>(options.batch)),
        names_(slots_.size()),
        counts_(slots_.size()),
        cache_(language_.model.make_cache(options.batch, checked(options, language_.model))) {}

  /// Tells whether a request can join.
  [[nodiscard]] bool has_room() const { return in_flight_ < slots_.size(); }
  /// Tells whether any is in flight.
  [[nodiscard]] bool busy() const { return in_flight_ > 0; }

  /// Lets a request join the batch; there must be room. One that cannot be answered gets an error:
  /// of a line that is no request, for an adapter that is not there, without tokens or with too
  /// many.
  void admit(Arrival arrival) {
    const Request& request = arrival.request;
    const auto refuse = [&](const std::string& why) { tell_(refusal(request, why)); };
    if (!request.error.empty()) return refuse(request.error);
    try {
      AdapterStore::Handle adapter;
      if (request.adapter && (adapter = store_.find(*request.adapter)) == nullptr)
        return refuse(unknown(*request.adapter));
      auto prompt = language_.prompt_tokens(request.prompt, request.plain);
      if (prompt.empty()) return refuse("the prompt has no tokens");
      if (static_cast<Index>(prompt.size()) >= cache_.capacity())
        return refuse(lora::message("the prompt has ", prompt.size(),
                                    " tokens, expected fewer than the context of ",
                                    cache_.capacity()));
      const auto free = std::find(slots_.begin(), slots_.end(), std::nullopt);
      free->emplace(std::move(arrival), std::move(adapter), std::move(prompt), language_.tokenizer);
      ++in_flight_;
    } catch (const std::exception& error) {
      refuse(error.what());
    }
  }

  /// Computes one token of every answer, or a part of its prompt. Where that fails, all in flight
  /// get the error.
  void step() {
    const auto begun = Clock::now();
    std::set<std::string> adapters;
    std::vector<int> ids;
    Index room = prompt_tokens_;
    for (std::size_t b = 0; b < slots_.size(); ++b) {
      names_[b] = slots_[b] ? slots_[b]->route() : std::string(lora::base_adapter);
      counts_[b] = 0;
      if (!slots_[b]) continue;
      adapters.insert(label(slots_[b]->request()));
      // What the model has not seen: a part of the prompt, or the newest token.
      const auto& tokens = slots_[b]->tokens();
      const Index held = cache_.length(static_cast<Index>(b));
      const Index fresh = static_cast<Index>(tokens.size()) - held;
      const Index count = fresh > 1 ? std::min(fresh, room) : fresh;
      room -= fresh > 1 ? count : 0;
      counts_[b] = static_cast<int>(count);
      ids.insert(ids.end(), tokens.begin() + held, tokens.begin() + held + count);
    }
    try {
      routes_.assign(names_);
      registry_.bind(routes_);
      language_.model.next_logits(ids, counts_, cache_, routes_, logits_);
    } catch (const std::exception& error) {
      for (std::size_t b = 0; b < slots_.size(); ++b)
        if (slots_[b]) leave(b, refusal(slots_[b]->request(), error.what()));
      return;
    }
    Index row = 0;
    for (std::size_t b = 0; b < slots_.size(); ++b)
      if (counts_[b] > 0) take(b, row++);
    statistics_.add_step(adapters, seconds(begun, Clock::now()));
  }

  [[nodiscard]] const Statistics& statistics() const { return statistics_; }

 private:
  using Language = textgen::LanguageModel<Family>;

  template <class Model>
  static Index checked(const Options& options, const Model& model) {
    if (options.context > model.max_positions())
      throw lora::ConfigError(lora::message("--context is ", options.context,
                                            ", expected at most the model's ",
                                            model.max_positions(), " positions"));
    return options.context;
  }

  static std::string label(const Request& request) {
    return request.adapter ? lora::printable(*request.adapter) : "(base)";
  }

  [[nodiscard]] std::string unknown(const std::string& name) const {
    std::string why = "there is no adapter called " + lora::in_quotes(name);
    const auto names = store_.names();
    for (std::size_t i = 0; i < names.size() && i < 20; ++i)
      why += (i == 0 ? ", only " : ", ") + lora::in_quotes(names[i]);
    return names.size() > 20 ? why + " ..." : why;
  }

  // Gives the slot the logits of its row.
  void take(std::size_t b, Index row) {
    auto& slot = *slots_[b];
    if (cache_.length(static_cast<Index>(b)) < static_cast<Index>(slot.tokens().size()))
      return;  // in the middle of its prompt
    const std::span<const float> logits(logits_.data() + row * logits_.cols(),
                                        static_cast<std::size_t>(logits_.cols()));
    try {
      if (!slot.push(logits, language_.settings.end_tokens, cache_.capacity(), candidates_)) return;
    } catch (const std::exception& error) {
      return leave(b, refusal(slot.request(), error.what()));
    }
    const Answer answer = slot.answer();
    statistics_.add_answer(label(slot.request()), answer.tokens, slot.to_first(), slot.to_now());
    leave(b, answer);
  }

  void leave(std::size_t b, const Answer& answer) {
    store_.release(slots_[b]->take_adapter());
    slots_[b].reset();
    cache_.truncate(static_cast<Index>(b), 0);
    --in_flight_;
    tell_(answer);
  }

  const Language& language_;
  const lora::AdapterRegistry<float>& registry_;
  AdapterStore& store_;
  Index prompt_tokens_;
  Tell tell_;
  std::vector<std::optional<Slot<lora::text::BytePairTokenizer>>> slots_;
  std::size_t in_flight_ = 0;
  std::vector<std::string> names_;  // of adapters, by slot
  std::vector<int> counts_;         // of new tokens, by slot
  lora::KVCache<float> cache_;
  lora::AdapterRoutes routes_;
  lora::Matrix<float> logits_;
  std::vector<lora::generation::Candidate> candidates_;
  Statistics statistics_;
};

}  // namespace serving
