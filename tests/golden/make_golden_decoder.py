"""Writes the golden files of the layers of decoder models with transformers: golden/core/decoder_*.txt.

    python tests/golden/make_golden_decoder.py

The format is that of make_golden.py. Made with torch 2.13.0 and transformers 5.24.0.
"""

import torch
from transformers.models.gemma.modeling_gemma import GemmaRMSNorm
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from make_golden import OUT, Golden


def rms_norm():
    torch.manual_seed(21)
    golden = Golden("decoder_rms_norm_f32")
    x = torch.randn(5, 37) * 3 + 1
    weight = 0.5 * torch.randn(37)
    dy = torch.randn(5, 37)
    for name, tensor in (("x", x), ("weight", weight), ("dy", dy)):
        golden.add(name, tensor)
    for name, norm in (("llama", LlamaRMSNorm(37, eps=1e-5)), ("gemma", GemmaRMSNorm(37, eps=1e-5))):
        norm.weight.data = weight.clone()
        v = x.clone().requires_grad_()
        y = norm(v)
        y.backward(dy)
        for part, tensor in (("y", y), ("dx", v.grad), ("dw", norm.weight.grad)):
            golden.add(f"{name}_{part}", tensor)
    golden.write()


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    rms_norm()
