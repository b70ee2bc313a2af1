#include <lora/metrics/entity_score.hpp>

#include <cmath>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "text/golden_text.hpp"

using namespace lora;
using namespace lora::data;
using namespace lora::metrics;
using namespace lora::text;

namespace {

std::vector<std::string> tags_of(const std::string& text) {
  std::istringstream words(text);
  std::vector<std::string> tags;
  for (std::string tag; words >> tag;) tags.push_back(tag);
  return tags;
}

EntityScore score(const std::string& actual, const std::string& predicted) {
  EntityScore score;
  score.add(tags_of(actual), tags_of(predicted));
  return score;
}

// correct, predicted, actual
std::vector<std::size_t> counts(const EntityScore& score) {
  const EntityCounts all = score.overall();
  return {all.correct, all.predicted, all.actual};
}

}  // namespace

TEST_CASE("an entity is right if its type, beginning and end are") {
  using Counts = std::vector<std::size_t>;
  CHECK(counts(score("B-A I-A O", "B-A I-A O")) == Counts{1, 1, 1});
  CHECK(counts(score("B-A I-A O", "B-A O O")) == Counts{0, 1, 1});
  CHECK(counts(score("B-A I-A O", "B-B I-B O")) == Counts{0, 1, 1});
  CHECK(counts(score("B-A B-A O", "B-A I-A O")) == Counts{0, 1, 2});
  CHECK(counts(score("O O O", "O B-A O")) == Counts{0, 1, 0});
  // I- begins an entity after O and after another type, and goes on after B- of its own.
  CHECK(counts(score("I-A I-A O", "B-A I-A O")) == Counts{1, 1, 1});
  CHECK(counts(score("I-A I-B I-B", "B-A B-B I-B")) == Counts{2, 2, 2});
  CHECK(counts(score("I-A B-A I-A", "I-A I-A I-A")) == Counts{0, 1, 2});
  CHECK(counts(score("", "")) == Counts{0, 0, 0});
}

TEST_CASE("sentences are apart from each other") {
  EntityScore score;
  score.add(tags_of("O I-A"), tags_of("O I-A"));
  score.add(tags_of("I-A O"), tags_of("I-A O"));
  CHECK(score.overall().actual == 2);
  CHECK(score.overall().correct == 2);
  CHECK(score.tag_accuracy() == 1);
}

TEST_CASE("precision, recall and f1 follow from the counts") {
  const EntityCounts counts{.correct = 2, .predicted = 3, .actual = 5};
  CHECK(counts.precision() == Approx(2.0 / 3));
  CHECK(counts.recall() == Approx(0.4));
  CHECK(counts.f1() == Approx(0.5));
  CHECK(EntityCounts{}.precision() == 0);
  CHECK(EntityCounts{}.f1() == 0);
}

TEST_CASE("tags that do not fit are refused and nothing is counted") {
  EntityScore score;
  CHECK_THROWS_AS(score.add(tags_of("O O"), tags_of("O")), ShapeError);
  CHECK_THROWS_WITH(score.add(tags_of("B-A"), tags_of("E-A")),
                    "EntityScore::add: the tag is \"E-A\", expected O, B-type or I-type");
  CHECK(score.types().empty());
  CHECK(score.tag_accuracy() == 0);
}

TEST_CASE("random tags score as seqeval scores them") {
  std::ifstream file(test::text_data / "entities.txt");
  REQUIRE(file);
  struct Values {
    double precision = 0, recall = 0, f1 = 0;
    std::size_t support = 0;
  };
  EntityScore score;
  double accuracy = 0;
  Values micro;
  std::map<std::string, Values> types;
  int cases = 0;
  const auto agrees = [](const EntityCounts& counts, const Values& values) {
    const auto near = [](double a, double b) { return std::abs(a - b) <= 1e-12; };
    return near(counts.precision(), values.precision) && near(counts.recall(), values.recall) &&
           near(counts.f1(), values.f1);
  };
  const auto finish = [&] {
    if (cases == 0) return;
    CAPTURE(cases);
    CHECK(std::abs(score.tag_accuracy() - accuracy) <= 1e-12);
    CHECK(agrees(score.overall(), micro));
    CHECK(score.types().size() == types.size());
    for (const auto& [type, values] : types) {
      CAPTURE(type);
      CHECK(agrees(score.types().at(type), values));
      CHECK(score.types().at(type).actual == values.support);
    }
    score = {};
    types.clear();
  };
  for (std::string line, word; std::getline(file, line);) {
    std::istringstream words(line);
    words >> word;
    if (word == "case") {
      finish();
      ++cases;
      words >> accuracy >> micro.precision >> micro.recall >> micro.f1;
    } else if (word == "type") {
      words >> word;
      Values& values = types[word];
      words >> values.precision >> values.recall >> values.f1 >> values.support;
    } else {
      const auto bar = line.find('|');
      score.add(tags_of(line.substr(9, bar - 9)), tags_of(line.substr(bar + 1)));
    }
  }
  finish();
  CHECK(cases == 150);
}
