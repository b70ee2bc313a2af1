#!/usr/bin/env python3
"""Writes the golden files of tests/golden/adalora: a small network that AdaLoRA trains, as PEFT
computes and saves it, in double precision.

    python tests/golden/make_golden_adalora.py

    run.safetensors           the network, x and the target, A, E and B at the start and the end, and
                              after each step the loss with its regularisation, the triplets' scores
                              where ranks may be taken away, and E
    whole/, pruned/, empty/   adapters that PEFT saved: before the first rank was taken away, at the
                              end, and one whose first layer has no rank left
    continued.safetensors     A, E and B after six more steps from what was saved as whole, which count
                              anew, and E after each
    outputs.safetensors       what PEFT computes for x with each of them, as it loads them again

The versions that made the files stand in adalora/VERSIONS.txt.
"""

import importlib.metadata
import pathlib
import shutil
import types
import warnings

import peft
import safetensors.torch
import torch
from peft.tuners.adalora import RankAllocator

OUT = pathlib.Path(__file__).parent / "adalora"
warnings.simplefilter("ignore")
STEPS = 12


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(6, 8)
        self.last = torch.nn.Linear(8, 3)

    def forward(self, x, target=None):
        y = self.last(torch.tanh(self.first(x)))
        if target is None:
            return y
        return types.SimpleNamespace(loss=((y - target) ** 2).mean())


def base():
    torch.manual_seed(11)
    return Net().double()


scores = {}


def recorded(allocator, model, step, force_mask=False):
    if step < allocator.peft_config.total_step - allocator.peft_config.tfinal:
        allocator.update_ipt(model)
    for name in [n for n in allocator.exp_avg_ipt if "lora_E" in n]:
        def mean(factor, dim):
            return allocator._element_score(name.replace("lora_E", factor)).mean(dim=dim)
        both = torch.stack([mean("lora_A", 1), mean("lora_B", 0)], dim=1)
        scores[name.split(".")[0]] = allocator._combine_ipt(allocator._element_score(name), both)
    budget, masks = allocator.budget_schedule(step)
    pattern = allocator.mask_to_budget(model, budget) if masks or force_mask else None
    return budget, pattern


RankAllocator.update_and_allocate = recorded

shutil.rmtree(OUT, ignore_errors=True)
OUT.mkdir()
net = base()
x, target = torch.randn(5, 6).double(), torch.randn(5, 3).double()
tensors = {f"base.{key}": value.clone() for key, value in net.state_dict().items()} | {"x": x, "target": target}
config = peft.AdaLoraConfig(target_r=2, init_r=4, total_step=STEPS, tinit=2, tfinal=3, deltaT=2, lora_alpha=16,
                            orth_reg_weight=0.1, target_modules=["first", "last"])
model = peft.get_peft_model(net, config).double()
layers = {"first": net.first, "last": net.last}
# Not all that require gradients: to(dtype) makes ranknum, which PEFT means to be fixed, one of them.
optimizer = torch.optim.AdamW([p for n, p in model.named_parameters() if "lora_" in n], lr=0.05)


def record(when):
    for name, layer in layers.items():
        for factor in ("lora_A", "lora_B"):
            tensors[f"{when}.{name}.{factor}"] = getattr(layer, factor)["default"].clone()


def save(name):
    model.save_pretrained(OUT / name)
    (OUT / name / "README.md").unlink()


record("start")
for step in range(1, STEPS + 1):
    # A PeftModel without a task type goes past AdaLoraModel.forward, and so past the regularisation.
    loss = model.base_model(x=x, target=target).loss
    loss.backward()
    optimizer.step()
    model.base_model.update_and_allocate(step)
    optimizer.zero_grad()
    tensors[f"{step}.loss"] = loss.view(1)
    for name, layer in layers.items():
        tensors[f"{step}.{name}.lora_E"] = layer.lora_E["default"].clone()
        if step <= STEPS - 3:
            tensors[f"{step}.{name}.score"] = scores[name]
    if step == 2:
        save("whole")
record("end")
kept = model.peft_config["default"].rank_pattern
assert kept["first.lora_E.default"] != kept["last.lora_E.default"], kept
save("pruned")
model.peft_config["default"].rank_pattern = {"first.lora_E.default": [False] * 4, "last.lora_E.default": [True, False, True, True]}
save("empty")

outputs = {}
for name in ("whole", "pruned", "empty"):
    loaded = peft.PeftModel.from_pretrained(base(), OUT / name).double()
    outputs[name] = loaded(x)
    outputs[f"{name}.first"] = loaded.base_model.model.first.get_delta_weight("default")
    outputs[f"{name}.last"] = loaded.base_model.model.last.get_delta_weight("default")

net = base()
model = peft.PeftModel.from_pretrained(net, OUT / "whole", is_trainable=True).double()
for key, value in safetensors.torch.load_file(OUT / "whole" / "adapter_model.safetensors").items():
    model.get_parameter(f"{key}.default").data.copy_(value)  # which were rounded to single precision
optimizer = torch.optim.AdamW([p for n, p in model.named_parameters() if "lora_" in n], lr=0.05)
continued = {}
for step in range(1, 7):
    model.base_model(x=x, target=target).loss.backward()
    optimizer.step()
    model.base_model.update_and_allocate(step)
    optimizer.zero_grad()
    for name in ("first", "last"):
        continued[f"{step}.{name}.lora_E"] = getattr(net, name).lora_E["default"].clone()
for name in ("first", "last"):
    for factor in ("lora_A", "lora_B"):
        continued[f"end.{name}.{factor}"] = getattr(getattr(net, name), factor)["default"]

for file, values in (("run", tensors), ("outputs", outputs), ("continued", continued)):
    values = {key: value.detach().clone().contiguous() for key, value in values.items()}
    safetensors.torch.save_file(values, OUT / f"{file}.safetensors")
(OUT / "VERSIONS.txt").write_text("".join(
    f"{package} {importlib.metadata.version(package)}\n" for package in ("peft", "safetensors", "torch")))
