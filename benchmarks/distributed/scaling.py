"""Prints on paper how far data-parallel training of adapters scales: README.md says how."""

import argparse
import math

# name, frozen weights of linear layers, elements of adapters of all of them per rank, tokens a batch
MODELS = [
    ("MiniLM-L6", 10.6e6, 41_472, 1024 * 128),
    ("BERT-large", 302e6, 442_368, 1024 * 128),
    ("Llama-3-8B", 6.98e9, 2_621_440, 1024 * 512),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flops", type=float, default=1e12, help="a machine's, sustained")
    parser.add_argument("--latency", type=float, default=20e-6, help="seconds of a message")
    parser.add_argument("--merge", type=float, default=5e9, help="bytes a second of summing")
    parser.add_argument("--efficiency", type=float, default=0.8, help="where scaling is said to end")
    options = parser.parse_args()

    def times(model, rank, gbit, ranks):
        _, weights, per_rank, tokens = model
        compute = 4 * weights * tokens / options.flops / ranks
        size = 4 * per_rank * rank * (1 - 1 / ranks)
        exchange = 2 * size * 8 / (gbit * 1e9) + size / options.merge
        return compute, exchange + 3 * math.log2(ranks) * options.latency if ranks > 1 else 0.0

    def efficiency(compute, exchange, overlap):
        # Half of a step is backward, during which the gradients of later layers may travel.
        hidden = min(exchange, compute / 2) if overlap else 0
        return compute / (compute + exchange - hidden)

    print("| model | rank | MB | Gbit/s | step and exchange, 1,024 ranks | of ideal | overlapped |"
          f" ends at | overlapped |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for model in MODELS:
        for rank in (8, 64):
            for gbit in (10, 100):
                compute, exchange = times(model, rank, gbit, 1024)
                ends = []
                for overlap in (False, True):
                    last = 1
                    while last < 1 << 20 and efficiency(
                        *times(model, rank, gbit, 2 * last), overlap
                    ) >= options.efficiency:
                        last *= 2
                    ends.append(f"{last:,}" if last <= 1024 else "past 1,024")
                print(
                    f"| {model[0]} | {rank} | {4e-6 * model[2] * rank:,.1f} | {gbit} "
                    f"| {1e3 * compute:,.1f} + {1e3 * exchange:,.1f} ms "
                    f"| {efficiency(compute, exchange, False):.0%} "
                    f"| {efficiency(compute, exchange, True):.0%} | {ends[0]} | {ends[1]} |"
                )


if __name__ == "__main__":
    main()
