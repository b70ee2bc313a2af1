#!/usr/bin/env python3
"""Writes the golden files of GGUF: blocks of every format with the numbers that gguf-py decodes and
encodes, and two of the models of make_golden_llama.py as llama.cpp keeps them.

    python3 tests/golden/make_golden_gguf.py

It needs numpy, gguf and safetensors; VERSIONS.txt says which.
"""

import importlib.metadata
import pathlib
import shutil

import gguf
import numpy
import safetensors.numpy

HERE = pathlib.Path(__file__).parent
FOLDER = HERE / "gguf"
Type = gguf.GGMLQuantizationType


def blocks():
    random = numpy.random.default_rng(7)
    tensors = {}
    for kind in (Type.Q4_0, Type.Q4_1, Type.Q5_0, Type.Q5_1, Type.Q8_0):
        values = random.normal(size=(6, 32)).astype(numpy.float32)
        values[1] = 0
        values[2] = (numpy.arange(32, dtype=numpy.float32) - 16) / 8
        values[3, ::2], values[3, 1::2] = 1, -1
        values[4] = 1.5
        encoded = gguf.quantize(values, kind)
        tensors[kind.name + ".values"] = values
        tensors[kind.name + ".bytes"] = encoded
        tensors[kind.name + ".decoded"] = gguf.dequantize(encoded, kind)
    for kind in (Type.Q4_K, Type.Q5_K, Type.Q6_K):
        size = gguf.GGML_QUANT_SIZES[kind][1]
        encoded = random.integers(0, 256, size=(4, size), dtype=numpy.uint8)
        scales = random.normal(size=(4, 2)).astype(numpy.float16).view(numpy.uint8)
        if kind == Type.Q6_K:
            encoded[:, -2:] = scales[:, :2]
        else:
            encoded[:, :4] = scales
        tensors[kind.name + ".bytes"] = encoded
        tensors[kind.name + ".decoded"] = gguf.dequantize(encoded, kind)
    safetensors.numpy.save_file(tensors, FOLDER / "blocks.safetensors")


NAMES = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def permuted(weight, head_dim):
    # llama.cpp turns pairs of neighbours, Hugging Face halves of a head.
    heads = weight.shape[0] // head_dim
    parts = weight.reshape(heads, 2, head_dim // 2, *weight.shape[1:])
    return numpy.ascontiguousarray(parts.swapaxes(1, 2)).reshape(weight.shape)


def model(name, arch, head_dim, vocabulary=40):
    source = {}
    for file in sorted((HERE / "llama" / name).glob("*.safetensors")):
        if file.name != "expected.safetensors":
            source |= safetensors.numpy.load_file(file)
    writer = gguf.GGUFWriter(FOLDER / f"{name}.gguf", arch)
    writer.add_type("model")
    writer.add_context_length(64)
    writer.add_embedding_length(16)
    writer.add_block_count(2)
    writer.add_feed_forward_length(24)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(head_dim)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    for key, value in source.items():
        if key == "model.embed_tokens.weight":
            target = "token_embd.weight"
        elif key == "model.norm.weight":
            target = "output_norm.weight"
        elif key == "lm_head.weight":
            target = "output.weight"
        else:
            _, _, layer, rest = key.split(".", 3)
            module, kind = rest.rsplit(".", 1)
            target = f"blk.{layer}.{NAMES[module]}.{kind}"
            if arch == "llama" and module in ("self_attn.q_proj", "self_attn.k_proj"):
                value = permuted(value, head_dim)
        writer.add_tensor(target, value.astype(numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    blocks()
    model("biases", "llama", 4)
    model("tied", "llama", 4)
    model("qwen3", "qwen3", 8)
    versions = {name: importlib.metadata.version(name) for name in ("gguf", "numpy")}
    (FOLDER / "VERSIONS.txt").write_text("".join(f"{k} {v}\n" for k, v in versions.items()))


if __name__ == "__main__":
    main()
