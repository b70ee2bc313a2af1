#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lora/core/error.hpp"
#include "lora/core/printable.hpp"
#include "lora/data/entity_tag.hpp"

namespace lora::metrics {

/// Counts of entities, and the measures that follow from them; 0 / 0 counts as 0.
struct EntityCounts {
  std::size_t correct = 0;  ///< found with the right type, beginning and end
  std::size_t predicted = 0;
  std::size_t actual = 0;

  /// Returns correct / predicted.
  [[nodiscard]] double precision() const { return ratio(correct, predicted); }
  /// Returns correct / actual.
  [[nodiscard]] double recall() const { return ratio(correct, actual); }

  /// Returns the harmonic mean 2 p r / (p + r) of precision p and recall r.
  [[nodiscard]] double f1() const { return ratio(2 * correct, predicted + actual); }

 private:
  [[nodiscard]] static double ratio(std::size_t part, std::size_t of) {
    return of == 0 ? 0 : static_cast<double>(part) / static_cast<double>(of);
  }
};

/// The score of predicted entities against the actual ones, as the script conlleval of the
/// CoNLL-2000 and 2003 shared tasks computes it, for tags of the schemes BIO (IOB2), IOB1 and IO.
/// An entity begins with B-, or with I- after O or after another type; it is right if its type,
/// beginning and end are.
class EntityScore {
 public:
  /// Adds a sentence. Throws ShapeError if there are not as many predicted tags as actual ones, and
  /// ConfigError for a tag that is not O, B-type or I-type; nothing is counted then.
  void add(std::span<const std::string> actual, std::span<const std::string> predicted) {
    if (actual.size() != predicted.size())
      throw ShapeError(message("EntityScore::add: ", predicted.size(), " predicted tags, expected ",
                               actual.size()));
    const std::vector<Entity> truth = entities(actual), guess = entities(predicted);
    std::size_t right = 0;
    for (std::size_t i = 0; i < actual.size(); ++i) right += actual[i] == predicted[i] ? 1 : 0;
    for (const Entity& entity : truth) ++types_[std::string(entity.type)].actual;
    for (const Entity& entity : guess) ++types_[std::string(entity.type)].predicted;
    // Both are in the order of the text, and of those of a sentence none begins where another does.
    for (std::size_t t = 0, g = 0; t < truth.size() && g < guess.size();) {
      if (truth[t] == guess[g]) ++types_[std::string(truth[t].type)].correct;
      const std::size_t begin = truth[t].begin;
      if (begin <= guess[g].begin) ++t;
      if (guess[g].begin <= begin) ++g;
    }
    tags_ += actual.size();
    right_tags_ += right;
  }

  /// Returns the counts of each type that was seen, in alphabetical order.
  [[nodiscard]] const std::map<std::string, EntityCounts>& types() const { return types_; }

  /// Returns the counts of all types together, whose f1 is the micro average.
  [[nodiscard]] EntityCounts overall() const {
    EntityCounts sum;
    for (const auto& [type, counts] : types_) {
      sum.correct += counts.correct;
      sum.predicted += counts.predicted;
      sum.actual += counts.actual;
    }
    return sum;
  }

  /// Returns the share of tags that are right; 0 if there are none.
  [[nodiscard]] double tag_accuracy() const {
    return tags_ == 0 ? 0 : static_cast<double>(right_tags_) / static_cast<double>(tags_);
  }

 private:
  struct Entity {
    std::size_t begin;
    std::size_t end;
    std::string_view type;

    friend bool operator==(const Entity&, const Entity&) = default;
  };

  [[nodiscard]] static std::vector<Entity> entities(std::span<const std::string> tags) {
    std::vector<Entity> found;
    data::EntityTag before;
    for (std::size_t i = 0; i < tags.size(); ++i) {
      const auto tag = data::parse_entity_tag(tags[i]);
      if (!tag)
        throw ConfigError("EntityScore::add: the tag is \"" + printable(tags[i], 40) +
                          "\", expected O, B-type or I-type");
      const bool goes_on = tag->mark == 'I' && before.mark != 'O' && tag->type == before.type;
      if (goes_on)
        found.back().end = i + 1;
      else if (tag->mark != 'O')
        found.push_back({i, i + 1, tag->type});
      before = *tag;
    }
    return found;
  }

  std::map<std::string, EntityCounts> types_;
  std::size_t tags_ = 0;
  std::size_t right_tags_ = 0;
};

}  // namespace lora::metrics
