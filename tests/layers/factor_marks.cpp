#include <lora/layers/factor_marks.hpp>

#include <lora/core/place.hpp>
#include <lora/core/tape.hpp>
#include <lora/layers/lora_adapter.hpp>

#include "support/catch.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("a change of A, B or m since forward is noticed, behind other marks") {
  const Place where{"backward", "fc"};
  for (const bool dora : {false, true}) {
    CAPTURE(dora);
    LoRAAdapter<double> adapter(4, 3, {.rank = 2, .use_dora = dora}, 1);
    if (dora) adapter.set_magnitude(Matrix<double>::Ones(1, 4));
    const Matrix<double> x = Matrix<double>::Ones(1, 3);
    Tape<double> tape;
    auto& frame = tape.push(&adapter, "fc", 1);
    frame.note_input(ConstMatrixRef<double>(x));
    detail::note_factors(adapter, frame);
    CHECK(detail::factor_marks(adapter) == (dora ? 3 : 2));
    const auto check = [&] { detail::require_noted_factors(adapter, frame, 1, where); };
    check();
    const auto notices = [&](Parameter<double>& parameter, const char* name) {
      const double before = parameter.value(0, 0);
      parameter.value(0, 0) += 0.5;
      check_throws<StateError>(
          check, std::string("fc (backward): the elements of ") + name + " are not those");
      parameter.value(0, 0) = before;
      check();
    };
    notices(adapter.a(), "A");
    notices(adapter.b(), "B");
    if (dora) notices(adapter.magnitude(), "m");
  }
}
