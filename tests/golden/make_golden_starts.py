#!/usr/bin/env python3
"""Writes core/starts.txt: what PEFT's starts make of some weights.

    python3 tests/golden/make_golden_starts.py

It needs torch, transformers and peft; starts_versions.txt says which. Factors whose signs the
decomposition is free to choose are stored as their product.
"""

import importlib.metadata
import pathlib

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from peft import EvaConfig, LoraConfig, LoraGAConfig, get_peft_model, initialize_lora_eva_weights
from peft.tuners.lora.config import CordaConfig
from peft.tuners.lora.corda import preprocess_corda
from peft.tuners.lora.loraga import preprocess_loraga
from peft.utils.incremental_pca import IncrementalPCA

HERE = pathlib.Path(__file__).parent / "core"
lines = []


def put(name, tensor):
    tensor = tensor.detach().double()
    numbers = " ".join(f"{x:.9g}" for x in tensor.flatten().tolist())  # exact for a float
    lines.append(f"{name} {tensor.shape[0]} {tensor.shape[1]} {numbers}")


class Tiny(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x)


def linear(weight):
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    layer.weight.data = weight.clone()
    return layer


def adapted(layer, **settings):
    config = LoraConfig(target_modules=["layer"], **settings)
    return get_peft_model(Tiny(layer), config).base_model.model.layer


def put_start(name, layer, signs_are_free=True):
    a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    if signs_are_free:
        put(name + ".ba", b @ a)
    else:
        put(name + ".a", a)
        put(name + ".b", b)
    base = layer.get_base_layer()
    put(name + ".base", base.weight.T if isinstance(base, Conv1D) else base.weight)


def weight_starts():
    torch.manual_seed(3)
    wide, tall = torch.randn(6, 9), torch.randn(10, 5)
    for name, weight in (("wide", wide), ("tall", tall)):
        put(name + ".w", weight)
        for init in ("pissa", "pissa_niter_16", "olora"):
            layer = adapted(linear(weight), r=4, lora_alpha=6, init_lora_weights=init)
            put_start(f"{name}.{init}", layer, signs_are_free=init != "olora")
        layer = adapted(linear(weight), r=4, lora_alpha=6, use_rslora=True, init_lora_weights="pissa")
        put_start(f"{name}.pissa_rslora", layer)
    conv = Conv1D(9, 6)  # of GPT-2: the weight is (in, out)
    conv.weight.data = torch.randn(6, 9)
    put("conv1d.w", conv.weight.T)
    layer = adapted(conv, r=3, lora_alpha=6, init_lora_weights="pissa", fan_in_fan_out=True)
    put_start("conv1d.pissa", layer)


def orthogonal():
    drawn = []
    real = torch.randn

    def recorded(*args, **kwargs):
        drawn.append(real(*args, **kwargs))
        return drawn[-1]

    torch.manual_seed(4)
    layer = linear(real(7, 5))
    torch.randn = recorded
    try:
        layer = adapted(layer, r=4, lora_alpha=8, init_lora_weights="orthogonal")
    finally:
        torch.randn = real
    for name, noise in zip(("mixing", "of_input", "of_output"), drawn, strict=True):
        put("orthogonal." + name, noise)
    put("orthogonal.a", layer.lora_A["default"].weight)
    put("orthogonal.b", layer.lora_B["default"].weight)


def pca():
    torch.manual_seed(5)
    pca = IncrementalPCA(n_components=3, lowrank=False)
    shape = torch.diag(torch.tensor([5.0, 3, 2, 1, 0.5])) @ torch.linalg.qr(torch.randn(5, 5))[0]
    for i, rows in enumerate((7, 4, 9)):
        x = torch.randn(rows, 5) @ shape + torch.tensor([1.0, -2, 3, 0, 0.5])
        put(f"pca.x{i}", x)
        pca.partial_fit(x)
        put(f"pca.components{i}", pca.components_)
        put(f"pca.values{i}", pca.singular_values_[None])
        put(f"pca.ratio{i}", pca.explained_variance_ratio_[None])


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(8, 8, bias=False), nn.Linear(8, 7, bias=False)

    def forward(self, x):
        return self.second(torch.relu(self.first(x)))


def eva():
    # As many directions as inputs, so that PEFT's randomised decomposition finds all of them.
    # It sees the one batch again and again until nothing changes: twice.
    for name, settings in (("eva", {}), ("eva_plain", {"whiten": True, "adjust_scaling_factors": False})):
        torch.manual_seed(6)
        base, x = Two(), torch.randn(20, 8)
        base.first.weight.data *= 0.05  # so that the ranks become 3 and 1
        base.first.weight.data += torch.outer(torch.rand(8), torch.randn(8))
        put(name + ".x", x)
        put(name + ".h", torch.relu(base.first(x)))
        config = LoraConfig(r=2, lora_alpha=3, target_modules=["first", "second"],
                            init_lora_weights="eva", eva_config=EvaConfig(rho=2.0, **settings))
        model = get_peft_model(base, config)
        initialize_lora_eva_weights(model, [{"x": x}],
                                    prepare_model_inputs_fn=None,
                                    prepare_layer_inputs_fn=None,
                                    show_progress_bar=False)
        for layer in ("first", "second"):
            module = getattr(model.base_model.model, layer)
            if not hasattr(module, "lora_A"):
                continue
            put(f"{name}.{layer}.a", module.lora_A["default"].weight)
            put(f"{name}.{layer}.alpha", torch.tensor([[float(module.lora_alpha["default"])]]))


def corda():
    torch.manual_seed(7)
    weight, samples = torch.randn(6, 9), [torch.randn(12, 9) for _ in range(3)]
    put("corda.w", weight)
    for i, x in enumerate(samples):
        put(f"corda.x{i}", x)
    for method in ("ipm", "kpm"):
        model = Tiny(linear(weight))
        config = LoraConfig(r=2, lora_alpha=3, target_modules=["layer"], init_lora_weights="corda",
                            corda_config=CordaConfig(corda_method=method))
        preprocess_corda(model, config, run_model=lambda: [model(x) for x in samples])
        put_start(f"corda.{method}", get_peft_model(model, config).base_model.model.layer)


def lora_ga():
    torch.manual_seed(8)
    weight = torch.randn(6, 9)
    batches = [(torch.randn(12, 9), torch.randn(12, 6)) for _ in range(2)]
    put("lora_ga.w", weight)
    for i, (x, dy) in enumerate(batches):
        put(f"lora_ga.x{i}", x)
        put(f"lora_ga.dy{i}", dy)
    for direction, scale in (("ArB2r", "stable"), ("A2rBr", "weight_svd"), ("ArBr", "gd_scale"),
                             ("ArB2r", "unit")):
        model = Tiny(linear(weight))
        config = LoraConfig(r=2, lora_alpha=3, target_modules=["layer"], init_lora_weights="lora_ga",
                            lora_ga_config=LoraGAConfig(direction=direction, scale=scale))

        def train_step():
            for x, dy in batches:
                model(x.requires_grad_()).backward(dy)

        preprocess_loraga(model, config, train_step)
        layer = get_peft_model(model, config).base_model.model.layer
        put(f"lora_ga.{direction}.{scale}.a", layer.lora_A["default"].weight.abs())
        put(f"lora_ga.{direction}.{scale}.b", layer.lora_B["default"].weight.abs())


def main():
    weight_starts()
    orthogonal()
    pca()
    eva()
    corda()
    lora_ga()
    versions = [f"{name} {importlib.metadata.version(name)}"
                for name in ("peft", "torch", "transformers")]
    (HERE / "starts_versions.txt").write_text("\n".join(versions) + "\n")
    (HERE / "starts.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
