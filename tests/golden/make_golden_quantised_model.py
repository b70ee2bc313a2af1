#!/usr/bin/env python3
"""Writes quantised_model/: a small Llama that transformers and bitsandbytes rounded to four and eight bits
on a CPU and saved, and the logits of the numbers that its codes stand for.

    python3 tests/golden/make_golden_quantised_model.py

Each folder has the model as transformers saves it, and expected.safetensors: the ids and labels of two
texts, and the logits of the same model in float32 with the decoded weights. Those are decoded here with
the operation that bitsandbytes has for every device: its CPU library counts blocks by row, which is wrong
where rows are no whole number of blocks, as they are here. It needs torch, transformers and bitsandbytes;
VERSIONS.txt says which.
"""

import importlib.metadata
import pathlib
import shutil
import tempfile

import bitsandbytes as bnb
import safetensors.torch
import torch
import transformers
from bitsandbytes.backends.default.ops import _dequantize_4bit_compute

HERE = pathlib.Path(__file__).parent / "quantised_model"
LENGTHS = [12, 7]
CONFIG = dict(vocab_size=40, hidden_size=48, intermediate_size=56, num_hidden_layers=2,
              num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64, bos_token_id=1,
              eos_token_id=2)
FOUR_BITS = dict(load_in_4bit=True, bnb_4bit_compute_dtype=torch.float32)
CASES = {
    "nf4": dict(FOUR_BITS, bnb_4bit_quant_type="nf4"),
    # Codes stored as numbers of another type, four in each.
    "nf4_nested": dict(FOUR_BITS, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
                       bnb_4bit_quant_storage=torch.bfloat16),
    "fp4": dict(FOUR_BITS, bnb_4bit_quant_type="fp4"),
    "int8": dict(load_in_8bit=True),
}


def decoded(module):
    weight = module.weight
    if isinstance(module, bnb.nn.Linear8bitLt):
        return (weight.data.float() * weight.SCB[:, None]) * torch.tensor(1 / 127)
    state = weight.quant_state
    scales = state.absmax
    if state.nested:
        scales = bnb.functional.dequantize_blockwise(scales, state.state2) + state.offset
    codes = weight.data.contiguous().view(torch.uint8).flatten()
    return _dequantize_4bit_compute(codes, scales.float(), state.code, state.blocksize, state.shape,
                                    torch.float32)


def main():
    shutil.rmtree(HERE, ignore_errors=True)
    torch.manual_seed(11)
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**CONFIG))
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            noise = torch.randn_like(parameter)
            parameter.copy_(1 + 0.2 * noise if "norm" in key else 0.2 * noise)
    ids = torch.randint(3, CONFIG["vocab_size"], (sum(LENGTHS),))
    texts = ids.split(LENGTHS)
    with tempfile.TemporaryDirectory() as plain:
        model.save_pretrained(plain)
        for name, settings in CASES.items():
            quantised = transformers.AutoModelForCausalLM.from_pretrained(
                plain, quantization_config=transformers.BitsAndBytesConfig(**settings),
                dtype=torch.float32)
            # Before any forward: on some processors that would round the scales.
            quantised.save_pretrained(HERE / name)
            oracle = transformers.AutoModelForCausalLM.from_pretrained(plain,
                                                                       attn_implementation="eager")
            count = 0
            for key, module in quantised.named_modules():
                if isinstance(module, (bnb.nn.Linear4bit, bnb.nn.Linear8bitLt)):
                    oracle.get_submodule(key).weight.data = decoded(module)
                    count += 1
            assert count == 14, count
            with torch.no_grad():
                logits = torch.cat([oracle(text[None]).logits[0] for text in texts])
            safetensors.torch.save_file(
                dict(ids=ids.float(), labels=ids.float(), logits=logits.contiguous()),
                HERE / name / "expected.safetensors")
    versions = [f"{p} {importlib.metadata.version(p)}" for p in ("torch", "transformers", "bitsandbytes")]
    (HERE / "VERSIONS.txt").write_text("\n".join(versions) + "\n")


if __name__ == "__main__":
    main()
