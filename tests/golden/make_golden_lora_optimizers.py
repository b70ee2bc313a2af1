#!/usr/bin/env python3
"""Writes core/lora_optimizers.txt: what PEFT's optimizers for LoRA do.

    python3 tests/golden/make_golden_lora_optimizers.py

It needs torch, transformers and peft; lora_optimizers_versions.txt says which.
"""

import importlib.metadata
import pathlib

import torch
from torch import nn

import peft.optimizers.lorafa
from peft import LoraConfig, get_peft_model
from peft.optimizers import (create_lorafa_optimizer, create_loraplus_optimizer,
                             create_riemannian_optimizer)

HERE = pathlib.Path(__file__).parent / "core"
lines = []


def put(name, tensor):
    numbers = " ".join(f"{x:.9g}" for x in tensor.detach().double().flatten().tolist())
    lines.append(f"{name} {tensor.shape[0]} {tensor.shape[1]} {numbers}")


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.linear = nn.Embedding(7, 4), nn.Linear(6, 5)
        self.norm, self.head = nn.LayerNorm(4), nn.Linear(4, 2)


def lora_plus():
    """The rate and the decay of every parameter, by the name that it has in files."""
    config = LoraConfig(r=2, target_modules=["embedding", "linear"], use_dora=True,
                        modules_to_save=["norm", "head"], bias="lora_only")
    model = get_peft_model(Net(), config)
    optimizer = create_loraplus_optimizer(model, torch.optim.AdamW, lr=1e-3, loraplus_lr_ratio=16,
                                          loraplus_weight_decay=0.25)
    group_of = {id(p): g for g in optimizer.param_groups for p in g["params"]}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        name = name.removeprefix("base_model.model.")
        name = name.replace(".modules_to_save.default", "").replace(".default", "")
        group = group_of[id(parameter)]
        put(f"plus.{name}", torch.tensor([[group["lr"] / 1e-3, group["weight_decay"],
                                           float(parameter.ndim)]]).double())


def run(name, make):
    torch.manual_seed(9)
    model = get_peft_model(Net(), LoraConfig(r=3, lora_alpha=6, target_modules=["linear"]))
    layer = model.base_model.model.linear
    a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    b.data = torch.randn_like(b)
    put(f"{name}.a", a)
    put(f"{name}.b", b)
    optimizer = make(model)
    for step in range(4):
        a.grad, b.grad = torch.randn_like(a), torch.randn_like(b)
        put(f"{name}.da{step}", a.grad)
        put(f"{name}.db{step}", b.grad)
        optimizer.step()
        put(f"{name}.a{step}", a)
        put(f"{name}.b{step}", b)


def main():
    lora_plus()
    peft.optimizers.lorafa.is_bf16_available = lambda: False  # it would round to bfloat16
    run("fa", lambda model: create_lorafa_optimizer(model, r=3, lora_alpha=6, lr=1e-2,
                                                    weight_decay=0.1))
    run("riemannian", lambda model: create_riemannian_optimizer(model, torch.optim.SGD, lr=1e-2,
                                                                reg=1e-2))
    versions = [f"{name} {importlib.metadata.version(name)}"
                for name in ("peft", "torch", "transformers")]
    (HERE / "lora_optimizers_versions.txt").write_text("\n".join(versions) + "\n")
    (HERE / "lora_optimizers.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
