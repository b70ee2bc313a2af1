#!/usr/bin/env python3
"""Checks that adapters survive the way from PEFT to C++ and back, over PEFT's options.

    python3 tests/conformance/peft_roundtrip.py PROGRAM

PEFT makes an adapter for each case of make_golden_bert.py and some with names in full and in
several number types; PROGRAM (lora_bert_roundtrip) loads each, computes logits and writes the
adapter back; PeftModel.from_pretrained loads what it wrote. Logits have to agree to 1e-4 with PEFT's
own, both ways, and every setting has to be the same. It needs torch, transformers and peft.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import peft
import safetensors.torch
import torch

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "data"))
import make_golden_bert as golden  # noqa: E402

TOLERANCE = 1e-4

MORE_CASES = [
    (
        "negative_alpha",
        "SEQ_CLS",
        golden.lora(target_modules=["query"], lora_alpha=-3, use_rslora=True),
    ),
    (
        "gaussian",
        "SEQ_CLS",
        golden.lora(target_modules=["value"], init_lora_weights="gaussian", lora_dropout=0.1),
    ),
    (
        "everything",
        "SEQ_CLS",
        golden.lora(
            target_modules=["query", "key", "value", "dense"],
            exclude_modules=r".*layer\.0\.output\.dense",
            use_rslora=True,
            bias="all",
            rank_pattern={"query": 1, r"layer\.1\..*dense": 7},
            alpha_pattern={"query": 0.5},
            modules_to_save=["attention.output.LayerNorm"],
        ),
    ),
    (
        "one_full_name",
        "SEQ_CLS",
        golden.lora(
            target_modules=["bert.encoder.layer.1.output.dense", "value"], layers_to_transform=0
        ),
    ),
    ("wide", "SEQ_CLS", golden.lora(target_modules=["key"], r=40)),
    ("tokens_all", "TOKEN_CLS", golden.lora(target_modules=["dense"], bias="all")),
    ("tokens_saved", "TOKEN_CLS", golden.lora(target_modules=["key"], modules_to_save=["output"])),
]


def reload(base, task, directory, inputs):
    model = peft.PeftModel.from_pretrained(golden.load_base(base, task), directory).eval()
    with torch.no_grad():
        return golden.logits_of(golden.run(model, task, inputs), task, inputs), model


def settings(directory):
    config = json.loads((directory / "adapter_config.json").read_text())
    # Order means nothing in these, and PEFT repeats heads at every load.
    for key in ("target_modules", "exclude_modules", "modules_to_save"):
        if isinstance(config.get(key), list):
            config[key] = sorted(set(config[key]))
    # One entry may stand alone or in a list.
    for key in ("layers_to_transform", "layers_pattern"):
        if isinstance(config.get(key), (int, str)):
            config[key] = [config[key]]
    return config


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    torch.set_num_threads(1)
    base = golden.HERE / "tiny"
    inputs = golden.batch()
    cases = golden.CASES + MORE_CASES
    golden.CASES[:] = cases  # which seed the random factors
    failures = []
    with tempfile.TemporaryDirectory() as temporary:
        root = pathlib.Path(temporary)
        expected = {}
        for name, task, options in cases:
            model = golden.adapted(base, name, task, options)
            model.save_pretrained(root / "from_peft" / name)
            with torch.no_grad():
                output = golden.run(model, task, inputs)
            expected[name] = golden.logits_of(output, task, inputs)
        golden.save(inputs, root / "batch.safetensors")
        subprocess.run(
            [sys.argv[1], base, root / "batch.safetensors", root / "from_peft", root / "back"],
            check=True,
        )
        for name, task, _ in cases:
            back = root / "back" / name
            ours = safetensors.torch.load_file(back / "logits.safetensors")["logits"]
            theirs, _ = reload(base, task, back, inputs)
            there = (ours - expected[name]).abs().max().item()
            again = (theirs - expected[name]).abs().max().item()
            moved = (expected[name] - reload_base(base, task, inputs)).abs().max().item()
            same = settings(root / "from_peft" / name) == settings(back)
            good = there <= TOLERANCE and again <= TOLERANCE and moved > 100 * TOLERANCE and same
            print(
                f"{'ok  ' if good else 'FAIL'} {name:18} C++ {there:.1e}  back in PEFT {again:.1e}"
                f"  adapter's effect {moved:.1e}  settings {'kept' if same else 'CHANGED'}"
            )
            if not good:
                failures.append(name)
    if failures:
        sys.exit("failed: " + ", ".join(failures))
    print(f"{len(cases)} adapters went to C++ and back")


def reload_base(base, task, inputs):
    with torch.no_grad():
        output = golden.run(golden.load_base(base, task), task, inputs)
    return golden.logits_of(output, task, inputs)


if __name__ == "__main__":
    main()
