#!/usr/bin/env python3
"""Writes core/combine_f64.txt: what PEFT's add_weighted_adapter makes of three adapters of a linear
layer, for each type that is not random, and of the random ones with nothing pruned.

    python3 tests/golden/make_golden_combine.py

It needs torch and peft; core/combine_versions.txt says which. Types that decompose are stored as
the product B A, in which the signs of singular vectors cancel; with a clamp, whose result depends
on those signs, both factors stand before and after.
"""

import importlib.metadata
import warnings

import torch
from peft import LoraConfig, get_peft_model

from make_golden import OUT, Golden

OUT_FEATURES, IN_FEATURES = 7, 10
SETTINGS = {"x": (3, 6.0, False), "y": (3, 4.5, True), "z": (2, 5.0, False)}  # rank, alpha, rslora
WEIGHTS = {"x": 0.7, "y": -1.3, "z": 0.4}
DENSITY, CLAMP = 0.4, 0.9


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.q = torch.nn.Linear(IN_FEATURES, OUT_FEATURES, bias=False)

    def forward(self, x):
        return self.q(x)


def main():
    warnings.simplefilter("ignore")
    torch.manual_seed(14)
    configs = {name: LoraConfig(r=r, lora_alpha=alpha, use_rslora=rslora, target_modules=["q"])
               for name, (r, alpha, rslora) in SETTINGS.items()}
    model = get_peft_model(Net().double(), configs["x"], "x")
    for name in ("y", "z"):
        model.add_adapter(name, configs[name])
    layer = model.base_model.model.q
    golden = Golden("combine_f64")
    for name in SETTINGS:
        a, b = layer.lora_A[name].weight, layer.lora_B[name].weight
        for factor in (a, b):  # as a file has them: exact in float32
            factor.data = torch.randn(factor.shape).double()
        golden.add(f"{name}.a", a)
        golden.add(f"{name}.b", b)

    def combine(kind, names, **options):
        model.base_model.add_weighted_adapter(
            list(names), [WEIGHTS[n] for n in names], "c", combination_type=kind, **options)
        a, b = layer.lora_A["c"].weight.data.clone(), layer.lora_B["c"].weight.data.clone()
        model.base_model.delete_adapter("c")
        return a, b

    def put(name, a, b):
        golden.add(f"{name}.a", a)
        golden.add(f"{name}.b", b)

    put("cat", *combine("cat", "xyz"))
    put("linear", *combine("linear", "xy"))
    for kind in ("ties", "dare_ties"):
        density = DENSITY if kind == "ties" else 1.0
        for sign in ("total", "frequency"):
            put(f"{kind}.{sign}", *combine(kind, "xy", density=density, majority_sign_method=sign))
            a, b = combine(f"{kind}_svd", "xyz", density=density, majority_sign_method=sign)
            golden.add(f"{kind}_svd.{sign}", b @ a)
    put("magnitude_prune", *combine("magnitude_prune", "xy", density=DENSITY))
    put("dare_linear", *combine("dare_linear", "xy", density=1.0))
    for kind, density in (("svd", None), ("magnitude_prune_svd", DENSITY), ("dare_linear_svd", 1.0)):
        a, b = combine(kind, "xyz", density=density)
        golden.add(kind, b @ a)
    plain, clamped = combine("svd", "xyz", svd_rank=5), combine("svd", "xyz", svd_rank=5, svd_clamp=CLAMP)
    golden.add("svd_rank_5", plain[1] @ plain[0])
    put("unclamped", *plain)
    put("clamped", *clamped)
    golden.write()
    (OUT / "combine_versions.txt").write_text(
        "\n".join(f"{name} {importlib.metadata.version(name)}" for name in ("torch", "peft")) + "\n")


if __name__ == "__main__":
    main()
