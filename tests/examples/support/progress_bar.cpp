#include "examples/support/progress_bar.hpp"

#include <sstream>

#include "support/catch.hpp"

using namespace examples;

TEST_CASE("on a terminal one line is drawn over and over") {
  std::ostringstream out;
  ProgressBar bar(out, true, "seed 1", 4);
  bar.set_step("LoRA");
  CHECK(out.str() == "\rseed 1 [..............................]   0 %  LoRA\x1b[K");
  out.str("");
  bar.advance();
  bar.advance();
  CHECK(out.str() ==
        "\rseed 1 [#######.......................]  25 %  LoRA\x1b[K"
        "\rseed 1 [###############...............]  50 %  LoRA\x1b[K");
  out.str("");
  bar.finish("done");
  CHECK(out.str() == "\rseed 1 [##############################] 100 %  done\x1b[K\n");
}

TEST_CASE("it is drawn when the percentage changes only") {
  std::ostringstream out;
  ProgressBar bar(out, true, "x", 1000);
  for (int i = 0; i < 9; ++i) bar.advance();
  CHECK(out.str().empty());
  bar.advance();
  CHECK(out.str() == "\rx [..............................]   1 %  \x1b[K");
}

TEST_CASE("elsewhere there is one plain line, at the end") {
  std::ostringstream out;
  ProgressBar bar(out, false, "seed 1", 2);
  bar.set_step("LoRA");
  bar.advance();
  bar.advance();
  CHECK(out.str().empty());
  bar.finish("done");
  CHECK(out.str() == "seed 1: done\n");
}

TEST_CASE("a step may say how it goes") {
  std::ostringstream out;
  ProgressBar bar(out, true, "epoch 1", 2);
  bar.advance("loss 0.5");
  CHECK(out.str() == "\repoch 1 [###############...............]  50 %  loss 0.5\x1b[K");
}
