"""Writes the golden files of tests/golden/layers with PEFT: one layer each, its adapter, what it
computes, its gradients, and the adapter as PEFT saves it.

    python tests/golden/make_golden_layers.py

For each case NAME there are NAME.txt (make_golden.py says how to read it), in double, and the
directory NAME with the adapter of a module called "layer", unless the numbers are not PEFT's. The versions that made the files stand
in layers/VERSIONS.txt.
"""

import importlib.metadata
import pathlib
import shutil
import warnings

import torch
from peft import LoraConfig, get_peft_model
from torch import nn

from make_golden import Golden

OUT = pathlib.Path(__file__).parent / "layers"
warnings.simplefilter("ignore")


class Net(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x)


def start(base, **settings):
    """Adapts `base`, in double, with factors that are both not zero."""
    torch.manual_seed(4)
    model = get_peft_model(Net(base.double()), LoraConfig(target_modules=["layer"], **settings),
                           autocast_adapter_dtype=False)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = torch.randn_like(parameter) / 2
    return model


def save(model, name):
    model.save_pretrained(OUT / name)
    (OUT / name / "README.md").unlink()


def rows(images):
    """(N, C, ...) as a row for each pixel."""
    return images.movedim(1, -1).reshape(-1, images.shape[1])


class ScaledEmbedding(nn.Embedding):
    """As Gemma's: PEFT scales its own part by embed_scale."""

    embed_scale = 2.5

    def forward(self, ids):
        return super().forward(ids) * self.embed_scale


def embedding(name, base, **settings):
    model = start(base, **settings)
    layer = model.base_model.model.layer
    ids = torch.tensor([0, 3, 6, 3, 2, 2, 3, 5])
    y = model(ids)
    dy = torch.randn_like(y)
    (y * dy).sum().backward()
    golden = Golden(name)
    golden.path = OUT / f"{name}.txt"
    a, b = layer.lora_embedding_A["default"], layer.lora_embedding_B["default"]
    for key, value in {"table": base.weight, "ids": ids, "y": y, "dy": dy, "a": a, "b": b,
                       "da": a.grad, "db": b.grad,
                       "delta": layer.get_delta_weight("default")}.items():
        golden.add(key, value)
    if settings.get("use_dora"):
        m = layer.lora_magnitude_vector["default"].weight
        golden.add("m", m)
        golden.add("dm", m.grad)
    save(model, name)
    layer.merge()
    golden.add("merged", layer.base_layer.weight)
    golden.write()


def convolution(name, base, shape, **settings):
    """A convolution of images or sequences of `shape` (N, C, ...): PEFT's own numbers where it gives
    A the same patches as W, else those of a convolution with W + s B A, in which it merges. In groups
    nothing merges."""
    base.double()
    as_in_peft = base.padding_mode == "zeros" and all(d == 1 for d in base.dilation)
    model = start(base, **settings)
    layer = model.base_model.model.layer
    a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    x = torch.randn(*shape, dtype=torch.double, requires_grad=True)
    s = layer.scaling["default"]
    if base.groups == 1:
        merged = base.weight + s * (b.flatten(1) @ a.flatten(1)).view_as(base.weight)
    y = model(x) if as_in_peft else base._conv_forward(x, merged, base.bias)
    dy = torch.randn_like(y)
    (y * dy).sum().backward()
    golden = Golden(name)
    golden.path = OUT / f"{name}.txt"
    for key, value in {"w": base.weight.flatten(1), "bias": base.bias, "x": rows(x), "y": rows(y),
                       "dy": rows(dy), "dx": rows(x.grad), "a": a.flatten(1), "b": b.flatten(1),
                       "da": a.grad.flatten(1), "db": b.grad.flatten(1)}.items():
        golden.add(key, value)
    if as_in_peft:
        save(model, name)
    if base.groups == 1:
        layer.merge()
        golden.add("merged", layer.base_layer.weight.flatten(1))
    golden.write()


if __name__ == "__main__":
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    torch.manual_seed(3)
    embedding("embedding", nn.Embedding(7, 5), r=2, lora_alpha=3)
    embedding("embedding_padding", nn.Embedding(7, 5, padding_idx=3), r=3, lora_alpha=4, use_rslora=True, lora_dropout=0.3)
    embedding("embedding_scale", ScaledEmbedding(7, 5), r=2)
    convolution("conv2d", nn.Conv2d(3, 4, (3, 2), (2, 1), (1, 0)), (2, 3, 5, 4), r=2, lora_alpha=3)
    convolution("conv2d_dilation", nn.Conv2d(2, 3, 3, 2, 2, dilation=(2, 3)), (1, 2, 6, 7), r=2)
    convolution("conv2d_reflect", nn.Conv2d(2, 3, 3, 1, 2, padding_mode="reflect"), (1, 2, 4, 5),
                r=2)
    convolution("conv2d_replicate", nn.Conv2d(2, 3, (2, 3), 2, (2, 1), padding_mode="replicate"),
                (2, 2, 3, 4), r=2)
    convolution("conv2d_circular", nn.Conv2d(2, 3, 3, 2, (1, 3), padding_mode="circular"),
                (1, 2, 4, 3), r=2)
    convolution("conv1d", nn.Conv1d(3, 4, 3, 2, 1), (2, 3, 7), r=2, lora_alpha=3)
    convolution("conv1d_dilation", nn.Conv1d(2, 3, 2, 1, 2, dilation=3, padding_mode="circular"),
                (2, 2, 5), r=2)
    embedding("embedding_dora", ScaledEmbedding(7, 5), r=2, lora_alpha=3, use_dora=True)
    convolution("conv2d_groups", nn.Conv2d(6, 4, (3, 2), (2, 1), (1, 0), groups=2), (2, 6, 5, 4),
                r=4, lora_alpha=3)
    convolution("conv2d_depthwise", nn.Conv2d(3, 3, 3, 1, 1, groups=3), (2, 3, 4, 3), r=3)
    convolution("conv1d_groups", nn.Conv1d(4, 8, 3, 2, 1, groups=4), (2, 4, 7), r=4,
                use_rslora=True)
    (OUT / "VERSIONS.txt").write_text(
        "".join(f"{name} {importlib.metadata.version(name)}\n" for name in ("torch", "peft")))
