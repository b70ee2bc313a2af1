#!/usr/bin/env python3
"""Writes the golden files of tests/models/gpt2/gpt2_gguf.cpp: GPT-2s as llama.cpp's converter keeps them,
and the logits that transformers computes from those files.

    python3 tests/golden/make_golden_gpt2_gguf.py

plain.gguf is one of the models of make_golden_gpt2.py, mixed.gguf has weights of several types and a head
of its own. Beside each stands NAME.safetensors: the ids of two texts and their logits. Names come from
gguf's own map; as llama.cpp's convert_hf_to_gguf.py does, Conv1D's weights are transposed, vectors are
F32. It needs torch, transformers and gguf; VERSIONS.txt says which.
"""

import importlib.metadata
import pathlib
import shutil

import gguf
import numpy
import safetensors.torch
import torch
import transformers

HERE = pathlib.Path(__file__).parent
FOLDER = HERE / "gpt2_gguf"
LENGTHS = [12, 7]
Type = gguf.GGMLQuantizationType
CONV1D = (".c_attn.weight", ".c_proj.weight", ".c_fc.weight")


def write_gguf(path, config, tensors, type_of):
    writer = gguf.GGUFWriter(path, "gpt2")
    writer.add_type("model")
    writer.add_block_count(config.n_layer)
    writer.add_context_length(config.n_positions)
    writer.add_embedding_length(config.n_embd)
    writer.add_feed_forward_length(config.n_inner or 4 * config.n_embd)
    writer.add_head_count(config.n_head)
    writer.add_layer_norm_eps(config.layer_norm_epsilon)
    # transformers looks for a tokenizer, and finds the size of the vocabulary there.
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([f"t{i}" for i in range(config.vocab_size)])
    writer.add_token_merges(["t 0"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.GPT2, config.n_layer)
    for key, value in tensors.items():
        if key.endswith(CONV1D):
            value = value.T
        name = names.get_name(key, try_suffixes=(".weight", ".bias"))
        values = numpy.ascontiguousarray(value.numpy(), dtype=numpy.float32)
        kind = type_of(name) if values.ndim == 2 else Type.F32
        writer.add_tensor(name, gguf.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_expected(name, config):
    # The config is given: transformers' own reading of the file leaves feed_forward_length and
    # context_length out.
    model = transformers.GPT2LMHeadModel.from_pretrained(
        FOLDER, gguf_file=f"{name}.gguf", config=config, dtype=torch.float32,
        attn_implementation="eager",
    )
    model.eval()
    ids = [torch.randint(0, config.vocab_size, (length,)) for length in LENGTHS]
    with torch.no_grad():
        logits = torch.cat([model(input_ids=text[None]).logits[0] for text in ids])
    expected = {"ids": torch.cat(ids).float(), "labels": torch.cat(ids).float(), "logits": logits}
    safetensors.torch.save_file(expected, FOLDER / f"{name}.safetensors")


def plain():
    folder = HERE / "gpt2" / "all_biases"
    config = transformers.GPT2Config.from_pretrained(folder)
    tensors = safetensors.torch.load_file(folder / "model.safetensors")
    write_gguf(FOLDER / "plain.gguf", config, tensors, lambda name: Type.F32)
    write_expected("plain", config)


def mixed():
    config = transformers.GPT2Config(
        vocab_size=40, n_embd=32, n_layer=2, n_head=4, n_positions=16, n_inner=64, bos_token_id=1,
        eos_token_id=2, tie_word_embeddings=False,
    )
    model = transformers.GPT2LMHeadModel(config)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            noise = torch.randn_like(parameter)
            near_one = "ln_" in key and key.endswith("weight")
            parameter.copy_(1 + 0.2 * noise if near_one else 0.3 * noise)
    tensors = {k: v.detach() for k, v in model.state_dict().items()}
    kinds = {"attn_qkv": Type.Q8_0, "attn_output": Type.F16, "ffn_up": Type.Q5_1,
             "ffn_down": Type.BF16, "token_embd": Type.F16}

    def type_of(name):
        return next((kind for part, kind in kinds.items() if part in name), Type.F32)

    write_gguf(FOLDER / "mixed.gguf", config, tensors, type_of)
    write_expected("mixed", config)


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    torch.manual_seed(0)
    plain()
    mixed()
    versions = {name: importlib.metadata.version(name) for name in ("gguf", "torch", "transformers")}
    (FOLDER / "VERSIONS.txt").write_text("".join(f"{k} {v}\n" for k, v in versions.items()))


if __name__ == "__main__":
    main()
