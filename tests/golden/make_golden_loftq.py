#!/usr/bin/env python3
"""Writes quantised/loftq.txt: what LoftQ as PEFT has it makes of some weights, with bitsandbytes'
NF4 and eight bits.

    python3 tests/golden/make_golden_loftq.py

It needs torch, bitsandbytes and peft; quantised/loftq_versions.txt says which. PEFT's loftq_init moves the
weight to a GPU, so its steps are written out here with the operations that bitsandbytes has for a
CPU; the decomposition is PEFT's own function. Factors are stored as their product, in which signs
and rotations of equal directions cancel.
"""

import importlib.metadata
import pathlib

import bitsandbytes.functional as bnb
import torch
from bitsandbytes.backends.default.ops import _dequantize_4bit_compute
from peft.utils.loftq_utils import _low_rank_decomposition

HERE = pathlib.Path(__file__).parent / "quantised"
lines = []


def put(name, tensor):
    numbers = " ".join(f"{x:.9g}" for x in tensor.flatten().tolist())  # exact for a float
    lines.append(f"{name} {tensor.shape[0]} {tensor.shape[1]} {numbers}")


def nf4(weight):
    codes, state = bnb.quantize_4bit(weight, blocksize=64, quant_type="nf4")
    return _dequantize_4bit_compute(codes.flatten(), state.absmax, state.code, 64, weight.shape,
                                    torch.float32)


def int8(weight):
    codes, scales, _ = bnb.int8_vectorwise_quant(weight.half())
    return bnb.int8_vectorwise_dequant(codes, scales).float()


def loftq(weight, rank, rounds, quantise):
    """PEFT 0.21.2's loftq_init, line by line."""
    res = weight.clone()
    for i in range(rounds):
        dequantised = quantise(res)
        res = weight - dequantised
        output = _low_rank_decomposition(res, reduced_rank=rank)
        product = torch.mm(output["L"], output["R"])
        if i + 1 == rounds:
            return dequantised, product
        res = weight - product


def main():
    torch.manual_seed(6)
    flat = torch.randn(16, 72) * 0.05
    left, right = torch.randn(24, 8), torch.randn(8, 48)
    steep = left @ torch.diag(0.5 ** torch.arange(8.0)) @ right * 0.02 + torch.randn(24, 48) * 0.01
    for name, weight in (("flat", flat), ("steep", steep)):
        put(f"{name}.w", weight)
        # Eight bits are of W in half precision: after some rounds the last bit of a float decides
        # how a row's largest number is rounded there, and with it the whole row.
        for kind, quantise, many in (("nf4", nf4, 5), ("int8", int8, 2)):
            for rounds in (1, many):
                dequantised, product = loftq(weight, 4, rounds, quantise)
                put(f"{name}.{kind}.{rounds}.q", dequantised)
                put(f"{name}.{kind}.{rounds}.ba", product)
    versions = [f"{name} {importlib.metadata.version(name)}"
                for name in ("bitsandbytes", "peft", "torch")]
    (HERE / "loftq_versions.txt").write_text("\n".join(versions) + "\n")
    (HERE / "loftq.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
