// Draws what rank_throughput measured: throughput against rank, as an SVG file.
//
//     plot_rank <result.json> <drawing.svg> [--tokens <N>] [--quantity <Q>]
//
// <N> is the batch drawn, the largest of the file by default. <Q> is
//
//     share      throughput in percent of the frozen product's, which was timed alternately: the
//                default, for it holds on a machine that others use too
//     tokens/s   on a logarithmic axis
//     GFLOP/s    useful operations only
//
// A file that cannot be read, or is not such a result,
// is an error with a message and exit code 1; so is a drawing that cannot be written.
//
// Why not gnuplot: it reads columns, not JSON, so a second tool would have to take the rows apart;
// and its SVG has neither a text for who cannot see it nor colours for pages both light and dark.

#include <cstdint>

#include "plot/options.hpp"
#include "plot/program.hpp"
#include "plot/quantity.hpp"
#include "plot/rank_chart.hpp"
#include "plot/rank_panels.hpp"
#include "plot/results.hpp"
#include "plot/words.hpp"

namespace lora::bench {
namespace {

void draw(const PlotOptions& options) {
  const Results results = read_results(options.in);
  const std::int64_t tokens = options.tokens.value_or(most_tokens(results));
  const RankChart chart(rank_panels(results, options.quantity, tokens, options.in),
                        {.title = message("LoRA throughput against rank, ", tokens, " tokens"),
                         .y_label = axis_label(options.quantity),
                         .caption = caption(results, tokens),
                         .logarithmic = is_logarithmic(options.quantity)});
  write_drawing(options.out, chart.svg());
}

}  // namespace
}  // namespace lora::bench

int main(int argc, char** argv) {
  using namespace lora::bench;
  return run_program("plot_rank", [&] { draw(parse_options({argv + 1, argv + argc})); });
}
