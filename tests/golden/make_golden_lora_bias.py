#!/usr/bin/env python3
"""Writes the golden files of tests/golden/lora_bias: layers with lora_bias as PEFT computes and
saves them.

    python tests/golden/make_golden_lora_bias.py

    linear/, conv2d/, conv1d/   adapters that PEFT saved
    linear.safetensors ...      the layer, x, dy, and what PEFT computes: y, the gradients, and the
                                merged weight and bias; images are (pixels, channels)

The versions that made the files stand in lora_bias/VERSIONS.txt.
"""

import importlib.metadata
import pathlib
import shutil
import warnings

import peft
import safetensors.torch
import torch

OUT = pathlib.Path(__file__).parent / "lora_bias"
warnings.simplefilter("ignore")


class Net(torch.nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.fc = layer

    def forward(self, x):
        return self.fc(x)


def pixels(x):
    """(N, C, ...) to (N ..., C)."""
    return x.movedim(1, -1).reshape(-1, x.shape[1])


def write(name, layer, x):
    config = peft.LoraConfig(r=3, lora_alpha=5, lora_bias=True, target_modules=["fc"])
    model = peft.get_peft_model(Net(layer), config)
    adapted = model.base_model.model.fc
    a, b = adapted.lora_A["default"].weight, adapted.lora_B["default"]
    tensors = {"weight": layer.weight.clone(), "bias": layer.bias.clone(), "x": pixels(x)}
    with torch.no_grad():
        b.weight.copy_(torch.randn_like(b.weight) * 0.4)
        b.bias.copy_(torch.randn_like(b.bias))
    x.requires_grad_()
    y = model(x)
    dy = torch.randn_like(y)
    y.backward(dy)
    tensors |= {"y": pixels(y), "dy": pixels(dy), "dx": pixels(x.grad), "da": a.grad,
                "db": b.weight.grad, "db_bias": b.bias.grad}
    model.save_pretrained(OUT / name)
    (OUT / name / "README.md").unlink()
    adapted.merge()
    tensors |= {"merged": adapted.get_base_layer().weight, "merged_bias": adapted.get_base_layer().bias}
    tensors = {key: value.detach().clone().contiguous() for key, value in tensors.items()}
    safetensors.torch.save_file(tensors, OUT / f"{name}.safetensors")


shutil.rmtree(OUT, ignore_errors=True)
OUT.mkdir()
torch.manual_seed(6)
write("linear", torch.nn.Linear(9, 7), torch.randn(5, 9))
write("conv2d", torch.nn.Conv2d(3, 4, 2, stride=2, padding=1), torch.randn(2, 3, 4, 4))
write("conv1d", torch.nn.Conv1d(3, 4, 2), torch.randn(2, 3, 5))
(OUT / "VERSIONS.txt").write_text("".join(
    f"{package} {importlib.metadata.version(package)}\n" for package in ("peft", "safetensors", "torch")))
