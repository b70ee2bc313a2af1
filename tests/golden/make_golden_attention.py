#!/usr/bin/env python3
"""Writes the golden files of tests/golden/attention: torch.nn.MultiheadAttention as PEFT adapts it.

    python tests/golden/make_golden_attention.py

    adapter/             what PEFT saved
    layer.safetensors    the module's weights, x, y and dy (a row a token), and what PEFT computes for
                         them: dx and the gradients of the factors. PEFT adds out_proj's update twice,
                         and takes gradients for once.

The versions that made the files stand in attention/VERSIONS.txt.
"""

import importlib.metadata
import pathlib
import shutil
import warnings

import peft
import safetensors.torch
import torch

OUT = pathlib.Path(__file__).parent / "attention"
warnings.simplefilter("ignore")


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.attn = torch.nn.MultiheadAttention(6, 2, batch_first=True)
        self.fc = torch.nn.Linear(6, 6)

    def forward(self, x, mask):
        return self.attn(x, x, x, key_padding_mask=mask, need_weights=False)[0]


shutil.rmtree(OUT, ignore_errors=True)
torch.manual_seed(5)
net = Net().double()
for parameter in net.parameters():
    parameter.data = torch.randn_like(parameter) * 0.5
tensors = {name.replace("attn.", ""): value.clone()
           for name, value in net.state_dict().items() if name.startswith("attn.")}
config = peft.LoraConfig(r=2, lora_alpha=3, target_modules=["attn"], rank_pattern={"attn": 3})
model = peft.get_peft_model(net, config)
factors = {name.replace(".default", ""): p for name, p in model.named_parameters() if "lora_" in name}
for name, factor in factors.items():
    if "lora_B" in name:
        factor.data = torch.randn_like(factor) * 0.5
model.save_pretrained(OUT / "adapter")
(OUT / "adapter" / "README.md").unlink()
x = torch.randn(2, 4, 6, dtype=torch.double, requires_grad=True)
# The second sequence has three tokens.
mask = torch.tensor([[False] * 4, [False] * 3 + [True]])
model.train()
y = model(x, mask)
dy = torch.randn_like(y).masked_fill(mask[..., None], 0)
y.backward(dy)
inside = ~mask.flatten()
rows = lambda t: t.reshape(-1, t.shape[-1])[inside]
tensors |= {"x": rows(x), "y": rows(y), "dy": rows(dy), "dx": rows(x.grad)}
tensors |= {"grad." + name.removeprefix("base_model.model."): p.grad for name, p in factors.items()}
safetensors.torch.save_file({key: value.detach().clone().contiguous() for key, value in tensors.items()},
                            OUT / "layer.safetensors")
(OUT / "VERSIONS.txt").write_text(
    "".join(f"{name} {importlib.metadata.version(name)}\n" for name in ("torch", "peft", "safetensors")))
