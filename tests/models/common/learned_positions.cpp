#include <lora/models/common/learned_positions.hpp>

#include <array>

#include "models/common/model_files.hpp"
#include "support/catch.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("learned positions are added to embeddings, and train where the plan says so") {
  ModelFiles files;
  files.add("places.weight", random_matrix<double>(5, 3, 1), {5, 3});
  models::ModelOutline outline;
  outline.modules.push_back({"places", peft::ModuleKind::other_layer});
  const std::array places{0, 4, 0};
  const Matrix<double> x = random_matrix<double>(3, 3, 2), dy = random_matrix<double>(3, 3, 3);
  for (const bool trains : {false, true}) {
    Workbench bench(files, trains ? models::Tuning(models::FullTuning{}) : models::HeadOnly{},
                    outline);
    models::LearnedPositions<double> positions(bench.builder, "places", 5, 3, 0.0);
    CHECK(positions.trains() == trains);
    CHECK(positions.angle_features() == 0);
    Matrix<double> y = x;
    positions.forward(places, nullptr, false, y);
    CHECK(same_bits(y.row(1), x.row(1) + files["places.weight"].row(4)));
    CHECK(same_bits(y.row(2), x.row(2) + files["places.weight"].row(0)));
    models::ModelParameters<double> list;
    positions.list(list);
    CHECK(list.total == 15);
    REQUIRE(list.trained.size() == (trains ? 1 : 0));
    if (!trains) continue;
    Tape<double> tape;
    Matrix<double> d = dy;
    positions.backward(places, tape, GradientTarget<double>::own(), d);
    CHECK(same_bits(d, dy));
    CHECK(list.trained[0]->name == "places.weight");
    CHECK(same_bits(list.trained[0]->grad.row(0), dy.row(0) + dy.row(2)));
    CHECK(list.trained[0]->grad.row(1).isZero(0));
  }
}

TEST_CASE("dropout of learned positions leaves nothing on the tape but for a backward") {
  ModelFiles files;
  files.add("places.weight", random_matrix<double>(5, 3, 1), {5, 3});
  Workbench bench(files, models::HeadOnly{}, {});
  const models::LearnedPositions<double> positions(bench.builder, "places", 5, 3, 0.5);
  const std::array places{1, 2, 3};
  Matrix<double> plain = Matrix<double>::Zero(3, 3), y = plain, kept = plain;
  positions.forward(places, nullptr, false, plain);
  Tape<double> tape, other;
  tape.begin_pass();
  positions.forward(places, &tape, false, y);
  CHECK(tape.empty());
  positions.forward(places, &other, true, kept);
  CHECK(same_bits(y, kept));
  CHECK(!same_bits(y, plain));
  Matrix<double> d = plain;
  positions.backward(places, other, GradientTarget<double>::own(), d);
  CHECK(other.empty());
  CHECK(same_bits(d, kept));
}
