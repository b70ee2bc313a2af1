"""Writes the golden files of tests/generation with transformers: core/generation_sampling.txt.

    python tests/golden/make_golden_generation.py

The format is that of make_golden.py: row i of `settings` has temperature, top_k, top_p, min_p and
repetition_penalty, row i of `probabilities` what its processors leave of `logits`.
"""

import torch
from transformers import generation

from make_golden import Golden

SETTINGS = [
    (1.0, 0, 1.0, 0.0, 1.0),
    (0.7, 0, 1.0, 0.0, 1.0),
    (1.0, 3, 1.0, 0.0, 1.0),
    (1.0, 0, 0.5, 0.0, 1.0),
    (1.0, 0, 0.0, 0.0, 1.0),
    (1.0, 0, 1.0, 0.2, 1.0),
    (1.0, 0, 1.0, 0.0, 1.5),
    (0.8, 6, 0.9, 0.05, 1.2),
    (2.0, 4, 0.7, 0.1, 0.8),
]


def main():
    torch.manual_seed(3)
    golden = Golden("generation_sampling")
    logits = 2 * torch.randn(1, 12)
    logits[0, 7] = logits[0, 2]  # a tie at the edge of top_k
    before = torch.tensor([[2, 5, 2, 9]])
    rows = []
    for temperature, top_k, top_p, min_p, penalty in SETTINGS:
        steps = generation.LogitsProcessorList()
        if penalty != 1:
            steps.append(generation.RepetitionPenaltyLogitsProcessor(penalty))
        steps.append(generation.TemperatureLogitsWarper(temperature))
        if top_k:
            steps.append(generation.TopKLogitsWarper(top_k))
        if top_p < 1:
            steps.append(generation.TopPLogitsWarper(top_p))
        if min_p:
            steps.append(generation.MinPLogitsWarper(min_p))
        rows.append(torch.softmax(steps(before, logits.clone()), -1))
    golden.add("logits", logits)
    golden.add("before", before.float())
    golden.add("settings", torch.tensor(SETTINGS))
    golden.add("probabilities", torch.cat(rows))
    golden.write()


if __name__ == "__main__":
    main()
