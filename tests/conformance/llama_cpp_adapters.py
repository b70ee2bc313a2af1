#!/usr/bin/env python3
"""Checks that llama.cpp computes with converted adapters what PEFT and C++ do; run by hand.

    python3 tests/conformance/llama_cpp_adapters.py ADAPTER_TOOL PROGRAM BASE

BASE is a GGUF file of a small model of Llama's family whose vocabulary llama.cpp knows, such as
SmolLM2-135M-Instruct; of its blocks the first four are taken, as float32. For each case here PEFT
makes an adapter with random numbers; ADAPTER_TOOL (adapter_tool) converts it to a GGUF file,
llama.cpp (of xllamacpp) loads that beside the base, and PROGRAM (lora_language_model_roundtrip)
computes with PEFT's own files. Of texts of several lengths the 50 largest log-probabilities of the
next token have to agree to 5e-4, also with an adapter at twice and half its scale. It needs torch,
transformers, peft, gguf and xllamacpp.
"""

import importlib.metadata
import pathlib
import subprocess
import sys
import tempfile

import gguf
import numpy
import peft
import safetensors.torch
import torch
import transformers
import xllamacpp

BLOCKS = 4
LENGTHS = [24, 9, 2]
TOLERANCE = 5e-4
LINEAR = {"target_modules": "all-linear"}

# Name, the adapter's settings, and ADAPTER_TOOL's options.
CASES = [
    ("q_and_v", {"target_modules": ["q_proj", "v_proj"], "lora_alpha": 16}, []),
    ("alpha_is_rank", LINEAR | {"lora_alpha": 8}, []),
    ("alpha_below_rank", LINEAR | {"lora_alpha": 2.5}, []),
    ("rslora", LINEAR | {"lora_alpha": 16, "use_rslora": True}, []),
    (
        "patterns",
        LINEAR
        | {
            "rank_pattern": {"q_proj": 3, r"layers\.[12]\.mlp\..*": 12},
            "alpha_pattern": {"v_proj": 5, "layers.0.*": 20},
        },
        [],
    ),
    (
        "rslora_patterns",
        LINEAR | {"use_rslora": True, "rank_pattern": {"k_proj": 5}, "alpha_pattern": {"mlp.*": 3}},
        [],
    ),
    ("parameters", {"target_modules": [], "target_parameters": ["up_proj.weight"]}, []),
    ("float16", LINEAR | {"lora_alpha": 16}, ["--dtype", "F16"]),
]


def first_blocks(source, target):
    """Writes the first blocks of a GGUF model as float32."""
    reader = gguf.GGUFReader(source)
    architecture = reader.fields["general.architecture"].contents()
    writer = gguf.GGUFWriter(target, architecture)
    changed = {f"{architecture}.block_count": BLOCKS, "general.file_type": 0}
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture":
            continue
        kind = field.types[-1] if len(field.types) > 1 else None
        value = changed.get(name, field.contents())
        writer.add_key_value(name, value, field.types[0], sub_type=kind)
    for tensor in reader.tensors:
        part = tensor.name.split(".")
        if part[0] == "blk" and int(part[1]) >= BLOCKS:
            continue
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        writer.add_tensor(tensor.name, numpy.asarray(values, numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_model(base, folder):
    """Writes a GGUF model as transformers reads it into a folder of its own form."""
    read = transformers.AutoModelForCausalLM.from_pretrained(
        base.parent, gguf_file=base.name, dtype=torch.float32
    )
    config = read.config.to_dict()
    config.pop("quantization_config", None)
    model = transformers.AutoModelForCausalLM.from_config(type(read.config)(**config))
    model.load_state_dict(read.state_dict())
    model.save_pretrained(folder)


def load(folder):
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def make_adapter(model, folder, options):
    """Writes an adapter with random numbers."""
    settings = {"r": 8, "lora_alpha": 16, "task_type": "CAUSAL_LM"} | options
    tuned = peft.get_peft_model(load(model), peft.LoraConfig(**settings))
    with torch.no_grad():
        for key, parameter in tuned.named_parameters():
            if "lora_B" in key:
                parameter.copy_(0.03 * torch.randn_like(parameter))
    tuned.save_pretrained(folder)


def make_texts(vocabulary):
    """Returns texts that are padded on the right."""
    mask = torch.stack([torch.arange(max(LENGTHS)) < length for length in LENGTHS])
    ids = torch.randint(20, vocabulary, mask.shape)
    return {"ids": ids, "attention_mask": mask, "labels": torch.where(mask, ids, -100)}


class LlamaCpp:
    """llama.cpp's model of a file, with adapters that are off."""

    def __init__(self, base, adapters):
        params = xllamacpp.CommonParams()
        params.model.path = str(base)
        params.n_ctx, params.n_parallel, params.warmup = 256, 1, False
        params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
        params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(a), 1.0) for a in adapters]
        params.lora_init_without_apply = True
        self.count = len(adapters)
        self.server = xllamacpp.Server(params)

    def following(self, ids, adapter, scale):
        """Returns the largest log-probabilities of the next token, by its id."""
        lora = [{"id": i, "scale": scale if i == adapter else 0.0} for i in range(self.count)]
        request = {"prompt": ids, "n_predict": 1, "temperature": 0, "n_probs": 50, "lora": lora}
        answer = self.server.handle_completions(request | {"cache_prompt": False})
        first = answer["choices"][0]["logprobs"]["content"][0]
        return {each["id"]: each["logprob"] for each in first["top_logprobs"]}


def difference(model, texts, logits, adapter=-1, scale=1.0):
    """Returns how far llama.cpp's log-probabilities are at most from these logits'."""
    worst, end = 0.0, 0
    for ids, length in zip(texts["ids"], LENGTHS):
        end += length
        ours = torch.log_softmax(logits[end - 1], 0)
        theirs = model.following(ids[:length].tolist(), adapter, scale)
        worst = max(worst, *(abs(ours[token].item() - value) for token, value in theirs.items()))
    return worst


def with_peft(model, texts):
    with torch.no_grad():
        return torch.cat(
            [model(input_ids=ids[mask][None]).logits[0] for ids, mask in
             zip(texts["ids"], texts["attention_mask"])]
        )


def scaled(model, folder, factor):
    """Returns PEFT's model with the adapter at another scale."""
    tuned = peft.PeftModel.from_pretrained(load(model), folder)
    for module in tuned.modules():
        if isinstance(module, peft.tuners.lora.LoraLayer):
            module.scale_layer(factor)
    return tuned.eval()


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    tool, program, source = sys.argv[1:]
    torch.manual_seed(1)
    failures = []

    def judge(name, far, moved=None):
        good = far <= TOLERANCE and (moved is None or moved > 100 * TOLERANCE)
        effect = "" if moved is None else f"  adapter's effect {moved:.1e}"
        print(f"{'ok  ' if good else 'FAIL'} {name:28} llama.cpp {far:.1e}{effect}", flush=True)
        if not good:
            failures.append(name)

    with tempfile.TemporaryDirectory() as temporary:
        root = pathlib.Path(temporary)
        base, cases, back = root / "base.gguf", root / "cases", root / "back"
        first_blocks(source, base)
        write_model(base, root / "model")
        plain = load(root / "model")
        texts = make_texts(plain.config.vocab_size)
        for name, options, more in CASES:
            make_adapter(root / "model", cases / name / "adapter", options)
            (cases / name / "model").symlink_to(root / "model")
            safetensors.torch.save_file(
                {key: value.float() for key, value in texts.items()},
                cases / name / "texts.safetensors",
            )
            subprocess.run(
                [tool, "convert", cases / name / "adapter", "--base", base, "--out",
                 root / f"{name}.gguf", *more],
                check=True, stdout=subprocess.DEVNULL,
            )
        subprocess.run([program, cases, back], check=True)
        unadapted = with_peft(plain, texts)
        model = LlamaCpp(base, [root / f"{name}.gguf" for name, *_ in CASES])
        judge("without an adapter", difference(model, texts, unadapted))
        for i, (name, *_) in enumerate(CASES):
            logits = safetensors.torch.load_file(back / name / "results.safetensors")["logits"]
            moved = difference(model, texts, unadapted, i)
            judge(name, difference(model, texts, logits, i), moved)
        for factor in (0.5, 2.0):
            logits = with_peft(scaled(root / "model", cases / "rslora" / "adapter", factor), texts)
            judge(f"rslora at scale {factor}", difference(model, texts, logits, 3, factor))
    versions = [f"{name} {importlib.metadata.version(name)}" for name in
                ("xllamacpp", "gguf", "peft", "transformers")]
    if failures:
        sys.exit(f"{len(failures)} differ: {failures}")
    print(f"{len(CASES)} adapters compute in llama.cpp what they do here: {', '.join(versions)}")


if __name__ == "__main__":
    main()
