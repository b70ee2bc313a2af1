"""Writes the golden files of tests/golden/layers with PEFT: one layer each, its adapter, what it
computes, its gradients, and the adapter as PEFT saves it.

    python tests/golden/make_golden_layers.py

For each case NAME there are NAME.txt (make_golden.py says how to read it), in double, and the
directory NAME with the adapter of a module called "layer". The versions that made the files stand
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
    save(model, name)
    layer.merge()
    golden.add("merged", layer.base_layer.weight)
    golden.write()


if __name__ == "__main__":
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    torch.manual_seed(3)
    embedding("embedding", nn.Embedding(7, 5), r=2, lora_alpha=3)
    embedding("embedding_padding", nn.Embedding(7, 5, padding_idx=3), r=3, lora_alpha=4, use_rslora=True, lora_dropout=0.3)
    embedding("embedding_scale", ScaledEmbedding(7, 5), r=2)
    (OUT / "VERSIONS.txt").write_text(
        "".join(f"{name} {importlib.metadata.version(name)}\n" for name in ("torch", "peft")))
