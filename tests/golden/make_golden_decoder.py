"""Writes the golden files of the layers of decoder models with transformers: golden/core/decoder_*.txt.

    python tests/golden/make_golden_decoder.py

The format is that of make_golden.py. Made with torch 2.13.0 and transformers 5.24.0.
"""

import torch
from transformers.models.gemma.modeling_gemma import GemmaRMSNorm
from transformers.models.llama.configuration_llama import LlamaConfig
from transformers.models.llama.modeling_llama import (LlamaRMSNorm, LlamaRotaryEmbedding,
                                                      apply_rotary_pos_emb)

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


def rotary():
    torch.manual_seed(22)
    golden = Golden("decoder_rotary_f32")
    heads, features = 2, 16
    positions = torch.tensor([[0, 1, 2, 7, 63, 300]])
    x, dy = torch.randn(6, heads * features), torch.randn(6, heads * features)
    for name, tensor in (("positions", positions), ("x", x), ("dy", dy)):
        golden.add(name, tensor)
    for name, scaling in (
            ("default", {}), ("linear", {"factor": 4.0}), ("dynamic", {"factor": 2.0}),
            ("llama3", {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                        "original_max_position_embeddings": 64}),
            ("yarn", {"factor": 4.0, "original_max_position_embeddings": 64})):
        config = LlamaConfig(
            hidden_size=heads * features, num_attention_heads=heads, max_position_embeddings=64,
            rope_parameters={"rope_type": name, "rope_theta": 500.0, **scaling})
        v = x.clone().requires_grad_()
        # (batch, heads, tokens, features), as the attention has it
        q = v.reshape(1, 6, heads, features).transpose(1, 2)
        cos, sin = LlamaRotaryEmbedding(config)(q, positions)
        y = apply_rotary_pos_emb(q, q, cos, sin)[0].transpose(1, 2).reshape(6, -1)
        y.backward(dy)
        golden.add(f"{name}_y", y)
        golden.add(f"{name}_dx", v.grad)
    golden.write()


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    rms_norm()
    rotary()
