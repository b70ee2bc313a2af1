#!/usr/bin/env python3
"""Checks that adapters of single layers survive the way from PEFT to C++ and back.

    python3 tests/conformance/layers_roundtrip.py PROGRAM

For each case here there is a torch layer with random weights and PEFT's adapter of it; PROGRAM
(lora_layer_roundtrip) loads both, computes with them and writes the adapter back;
PeftModel.from_pretrained loads what it wrote. Results have to agree with PEFT's own, both ways; every
tensor and every setting has to be the same. It needs torch, transformers, which the scripts share,
and peft.
"""

import copy
import pathlib
import subprocess
import sys
import tempfile

import peft
import safetensors.torch
import torch
from torch import nn

from peft_roundtrip import changed_settings, finish, judge, start
from resnet_roundtrip import changed_tensors

LENGTHS = [5, 3]

# Name, the layer, what a batch of it is, the adapter's settings.
CASES = [
    ("conv2d", nn.Conv2d(3, 4, (3, 2), (2, 1), (1, 0)), (2, 3, 5, 4), {}),
    ("conv2d_groups", nn.Conv2d(6, 4, (3, 2), (2, 1), (1, 0), groups=2), (2, 6, 5, 4), {"r": 4}),
    ("conv2d_depthwise", nn.Conv2d(3, 6, 3, 1, 1, groups=3), (2, 3, 4, 3), {"lora_alpha": 2}),
    ("conv1d", nn.Conv1d(3, 4, 3, 2, 1), (2, 3, 7), {"use_rslora": True}),
    ("conv1d_groups", nn.Conv1d(4, 8, 3, 2, 1, groups=4), (2, 4, 7), {"r": 8, "use_rslora": True}),
    ("conv1d_depthwise", nn.Conv1d(3, 3, 2, groups=3), (1, 3, 6), {"bias": "lora_only"}),
    ("conv2d_lora_bias", nn.Conv2d(3, 4, 3), (1, 3, 4, 5), {"lora_bias": True}),
    ("conv2d_groups_lora_bias", nn.Conv2d(4, 4, 3, groups=2), (1, 4, 4, 5),
     {"r": 2, "lora_bias": True}),
    ("conv2d_dora", nn.Conv2d(3, 4, 3, 1, 1), (2, 3, 4, 3), {"use_dora": True}),
    ("conv1d_dora", nn.Conv1d(3, 4, 3), (2, 3, 6), {"use_dora": True}),
    ("attention", nn.MultiheadAttention(6, 2, batch_first=True), None, {}),
    ("attention_ranks", nn.MultiheadAttention(8, 4, batch_first=True), None,
     {"rank_pattern": {"layer": 5}, "use_rslora": True}),
]


class Net(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        if not isinstance(x, list):
            return self.layer(x)
        return [self.layer(part, part, part, need_weights=False)[0] for part in x]


def rows(y):
    """Returns a row for each pixel, place or token."""
    if isinstance(y, list):
        return torch.cat([part[0] for part in y])
    return y.movedim(1, -1).reshape(-1, y.shape[1]).contiguous()


def make_case(case, layer, shape, settings):
    """Writes a case, and returns its net and batch."""
    layer = layer.double()
    for parameter in layer.parameters():
        parameter.data = torch.randn_like(parameter) / 2
    net = Net(layer)
    if shape is None:
        x = [torch.randn(1, length, layer.embed_dim, dtype=torch.double) for length in LENGTHS]
        sizes = {"heads": [layer.num_heads], "lengths": LENGTHS}
        tensors = {k: v.clone() for k, v in layer.state_dict().items()}
    else:
        x = torch.randn(*shape, dtype=torch.double)
        window = [settings.get("r", 3), layer.groups]
        for each in zip(layer.kernel_size, layer.stride, layer.padding):
            window += each
        sizes = {"window": window, "shape": [shape[0], *shape[2:]]}
        tensors = {"w": layer.weight.flatten(1), "bias": layer.bias}
    tensors = {k: v.detach().contiguous() for k, v in tensors.items()} | {"x": rows(x)}
    tensors |= {k: torch.tensor([v], dtype=torch.double) for k, v in sizes.items()}
    case.mkdir(parents=True)
    safetensors.torch.save_file(tensors, case / "layer.safetensors")

    config = peft.LoraConfig(**({"r": 3, "lora_alpha": 6, "target_modules": ["layer"]} | settings))
    tuned = peft.get_peft_model(copy.deepcopy(net), config, autocast_adapter_dtype=False)
    for name, parameter in tuned.named_parameters():
        if parameter.requires_grad:
            parameter.data += torch.randn_like(parameter) / 4
    tuned.save_pretrained(case / "adapter")
    return net, x


def load(net, adapter):
    net = copy.deepcopy(net)
    return peft.PeftModel.from_pretrained(net, adapter, autocast_adapter_dtype=False).eval()


def check_case(name, case, back, net, x):
    with torch.no_grad():
        adapted = load(net, case / "adapter")
        expected = rows(adapted(x))
        again = (rows(load(net, back)(x)) - expected).abs().max().item()
        moved = (expected - rows(net.eval()(x))).abs().max().item()
    results = safetensors.torch.load_file(back / "results.safetensors")
    there = (results["y"] - expected).abs().max().item()
    changed = changed_tensors(case / "adapter", back)
    changed += changed_settings(case / "adapter", back, False)
    return judge(name, there, again, moved, changed)


def main():
    start(__doc__)
    with tempfile.TemporaryDirectory() as temporary:
        cases, back = pathlib.Path(temporary) / "cases", pathlib.Path(temporary) / "back"
        made = {}
        for seed, (name, layer, shape, settings) in enumerate(CASES):
            torch.manual_seed(seed)
            made[name] = make_case(cases / name, layer, shape, settings)
        subprocess.run([sys.argv[1], cases, back], check=True)
        failures = [
            name for name in made if not check_case(name, cases / name, back / name, *made[name])
        ]
    finish(failures, f"{len(CASES)} adapters of layers", 0)


if __name__ == "__main__":
    main()
