#!/usr/bin/env python3
"""Writes quantised/bitsandbytes.txt: weights that bitsandbytes rounds to four and eight bits on a CPU, with
its codes and scales and the numbers that it decodes.

    python3 tests/golden/make_golden_quantised.py

It needs torch and bitsandbytes; quantised/VERSIONS.txt says which. Weights are decoded by the
operation that bitsandbytes has for every device: that of its CPU library counts blocks by row, which
is wrong where rows are no whole number of blocks.
"""

import importlib.metadata
import pathlib

import bitsandbytes.functional as bnb
import torch
from bitsandbytes.backends.default.ops import _dequantize_4bit_compute

HERE = pathlib.Path(__file__).parent / "quantised"
lines = []


def put(name, tensor):
    tensor = tensor.reshape(1, -1) if tensor.dim() != 2 else tensor
    numbers = " ".join(float(x).hex() for x in tensor.flatten().tolist())
    lines.append(f"{name} {tensor.shape[0]} {tensor.shape[1]} {numbers}")


def put_nested(name, state):
    put(f"{name}.nested_codes", state.absmax)
    put(f"{name}.nested_scales", state.state2.absmax)
    put(f"{name}.nested_offset", state.offset)


def four_bits(name, weight, block):
    put(f"{name}.w", weight)
    for kind in ("nf4", "fp4"):
        codes, state = bnb.quantize_4bit(weight, blocksize=block, quant_type=kind)
        decode = lambda scales: _dequantize_4bit_compute(
            codes.flatten(), scales, state.code, block, weight.shape, torch.float32)
        put(f"{name}.{kind}.codes", codes)
        put(f"{name}.{kind}.scales", state.absmax)
        put(f"{name}.{kind}.decoded", decode(state.absmax))
        codes, nested = bnb.quantize_4bit(weight, blocksize=block, quant_type=kind,
                                          compress_statistics=True)
        scales = bnb.dequantize_blockwise(nested.absmax, nested.state2) + nested.offset
        put_nested(f"{name}.{kind}", nested)
        if name == "straddling":
            put(f"{name}.{kind}.nested_decoded", decode(scales))


def main():
    torch.manual_seed(5)
    flat = torch.arange(2 * 64, dtype=torch.float32)
    pattern = ((flat * 37) % 101 - 50) / 64
    four_bits("pattern", pattern.reshape(2, 64) * torch.tensor([[1.0], [0.125]]), 64)
    four_bits("straddling", torch.randn(6, 96), 64)
    four_bits("ragged", torch.randn(5, 50) * 0.03, 64)
    four_bits("odd", torch.randn(3, 7), 32)
    four_bits("large_blocks", torch.randn(9, 128).bfloat16().float(), 512)
    table = torch.sort(bnb.get_4bit_type("nf4", device="cpu")).values
    four_bits("midpoints", torch.cat([torch.ones(1), (table[1:] + table[:-1]) / 2]).reshape(1, 16),
              64)
    zeros = torch.randn(4, 64)
    zeros[1] = 0
    four_bits("zeros", zeros, 64)
    # Enough blocks for two scales of scales.
    many = (torch.randn(65, 128) * torch.rand(65, 1)).bfloat16().float()
    _, nested = bnb.quantize_4bit(many, blocksize=32, quant_type="nf4", compress_statistics=True)
    put("many.w", many)
    put_nested("many.nf4", nested)
    put("dynamic.values", bnb.create_dynamic_map())
    for i, size in enumerate((1, 255, 257, 1000)):
        numbers = torch.randn(size) * 10.0 ** (i - 2)
        codes, state = bnb.quantize_blockwise(numbers, blocksize=256)
        put(f"dynamic.{i}.numbers", numbers)
        put(f"dynamic.{i}.codes", codes)
        put(f"dynamic.{i}.scales", state.absmax)

    weight = torch.randn(7, 45) * torch.tensor([[1e-3], [1], [30], [0], [1e-6], [5], [0.1]])
    codes, scales, _ = bnb.int8_vectorwise_quant(weight.half())
    put("int8.w", weight)
    put("int8.codes", codes)
    put("int8.scales", scales)
    put("int8.decoded", bnb.int8_vectorwise_dequant(codes, scales))

    # Rows in which 127 / x and 127 * (1 / x) round a number to different codes.
    rows = []
    while len(rows) < 3:
        row = torch.randn(1, 160).half().float()
        codes, scales, _ = bnb.int8_vectorwise_quant(row.half())
        if (torch.round(row * (torch.tensor(127.0) / scales.double()).float()) != codes).any():
            rows.append(row)
    weight = torch.cat(rows)
    put("int8_ties.w", weight)
    put("int8_ties.codes", bnb.int8_vectorwise_quant(weight.half())[0])

    (HERE / "bitsandbytes.txt").write_text("\n".join(lines) + "\n")
    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("bitsandbytes", "torch")]
    (HERE / "VERSIONS.txt").write_text("\n".join(versions) + "\n")


main()
