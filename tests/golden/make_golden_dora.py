#!/usr/bin/env python3
"""Writes the golden files of tests/golden/dora: layers with DoRA as PEFT computes and saves them.

    python tests/golden/make_golden_dora.py

    linear/, conv2d/     adapters that PEFT saved
    linear.safetensors   the layer, x, dy, and what PEFT computes: y, the gradients, the merged
    conv2d.safetensors   weight, and y in training where dropout is `mask`; images are (pixels, channels)

The versions that made the files stand in dora/VERSIONS.txt.
"""

import importlib.metadata
import pathlib
import shutil
import warnings

import peft
import safetensors.torch
import torch

OUT = pathlib.Path(__file__).parent / "dora"
warnings.simplefilter("ignore")


class Mask(torch.nn.Module):
    """A dropout that keeps what it is told to."""

    def __init__(self, mask):
        super().__init__()
        self.mask = mask

    def forward(self, x):
        return x * self.mask


class Net(torch.nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.fc = layer

    def forward(self, x):
        return self.fc(x)


def pixels(x):
    """(N, C, H, W) to (N H W, C)."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1]) if x.dim() == 4 else x


def write(name, layer, x):
    config = peft.LoraConfig(r=3, lora_alpha=5, use_dora=True, target_modules=["fc"])
    model = peft.get_peft_model(Net(layer), config)
    adapted = model.base_model.model.fc
    a, b = adapted.lora_A["default"].weight, adapted.lora_B["default"].weight
    magnitude = adapted.lora_magnitude_vector["default"].weight
    tensors = {"weight": layer.weight.clone(), "bias": layer.bias, "x": pixels(x),
               "start": magnitude.clone().flatten()}
    with torch.no_grad():
        b.copy_(torch.randn_like(b) * 0.4)
        magnitude.mul_(1 + 0.3 * torch.rand_like(magnitude))
    x.requires_grad_()
    y = model(x)
    dy = torch.randn_like(y)
    y.backward(dy)
    tensors |= {"y": pixels(y), "dy": pixels(dy), "dx": pixels(x.grad), "da": a.grad, "db": b.grad,
                "dm": magnitude.grad.flatten()}
    mask = torch.bernoulli(torch.full_like(x, 0.75)) / 0.75
    adapted.lora_dropout["default"] = Mask(mask)
    tensors |= {"mask": pixels(mask), "y_masked": pixels(model.train()(x))}
    model.save_pretrained(OUT / name)
    (OUT / name / "README.md").unlink()
    model.eval()
    adapted.merge()
    tensors["merged"] = adapted.get_base_layer().weight
    tensors = {key: value.detach().clone().contiguous() for key, value in tensors.items()}
    safetensors.torch.save_file(tensors, OUT / f"{name}.safetensors")


shutil.rmtree(OUT, ignore_errors=True)
OUT.mkdir()
torch.manual_seed(5)
write("linear", torch.nn.Linear(12, 7), torch.randn(5, 12))
write("conv2d", torch.nn.Conv2d(4, 6, 3, stride=2, padding=1), torch.randn(2, 4, 5, 5))
(OUT / "VERSIONS.txt").write_text("".join(
    f"{package} {importlib.metadata.version(package)}\n" for package in ("peft", "safetensors", "torch")))
