#!/usr/bin/env python3
"""Writes the golden files of tests/models/llama: small decoders with random weights, adapters that
PEFT made for them, and what transformers and PEFT compute with them.

    python3 tests/golden/make_golden_llama.py

Each folder has a model as transformers saves it, adapter/ as PEFT saves it, and expected.safetensors:
the ids and labels of two texts, logits without and with the adapter, the mean loss of both texts and
its gradients; with alora_invocation_tokens what each text goes on with. It needs torch, transformers and peft; VERSIONS.txt says which.
"""

import json
import pathlib
import shutil

import peft
import safetensors.torch
import torch
import transformers

HERE = pathlib.Path(__file__).parent / "llama"
LENGTHS = [12, 7]
BASE = dict(
    vocab_size=40, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=64, bos_token_id=1, eos_token_id=2,
)


def rope(kind, **more):
    return dict(rope_parameters=dict(rope_type=kind, rope_theta=500.0, **more))


# Name, configuration, its settings, the adapter's settings.
CASES = [
    ("llama", transformers.LlamaConfig, {}, {}),
    ("biases", transformers.LlamaConfig, dict(attention_bias=True, mlp_bias=True),
     dict(target_modules="all-linear", bias="lora_only")),
    ("head_dim", transformers.LlamaConfig, dict(head_dim=6), dict(target_modules="all-linear")),
    ("linear", transformers.LlamaConfig, rope("linear", factor=3.0), {}),
    ("dynamic", transformers.LlamaConfig,
     dict(max_position_embeddings=8) | rope("dynamic", factor=2.0), {}),
    ("llama3", transformers.LlamaConfig,
     rope("llama3", factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0,
          original_max_position_embeddings=16), {}),
    ("yarn", transformers.LlamaConfig,
     rope("yarn", factor=4.0, original_max_position_embeddings=16), {}),
    ("tied", transformers.LlamaConfig, dict(tie_word_embeddings=True),
     dict(target_modules="all-linear", use_rslora=True)),
    ("mistral", transformers.MistralConfig, dict(sliding_window=3), {}),
    ("qwen2", transformers.Qwen2Config,
     dict(use_sliding_window=True, sliding_window=4, max_window_layers=1),
     dict(target_modules=["q_proj", "k_proj", "down_proj"], alpha_pattern={"k_proj": 9})),
    ("qwen3", transformers.Qwen3Config, dict(head_dim=8),
     dict(target_modules="all-linear", rank_pattern={"q_proj": 2})),
    ("saved_head", transformers.LlamaConfig, {},
     dict(target_modules=["v_proj"], modules_to_save=["lm_head", "norm"])),
    ("bfloat16", transformers.LlamaConfig, {}, dict(target_modules=["o_proj", "up_proj"])),
    ("float16", transformers.LlamaConfig, {}, dict(target_modules=["gate_proj"])),
    ("embedded", transformers.LlamaConfig, dict(num_hidden_layers=1),
     dict(target_modules=["embed_tokens", "v_proj"], lora_alpha=4, use_rslora=True)),
    ("replicated", transformers.LlamaConfig, {},
     dict(target_modules=["q_proj", "down_proj"], layer_replication=[(0, 2), (1, 2), (0, 1)])),
    ("alora", transformers.LlamaConfig, {},
     dict(target_modules=["q_proj", "v_proj", "up_proj"], alora_invocation_tokens=[7, 3])),
    ("tokens", transformers.LlamaConfig, dict(tie_word_embeddings=True, num_hidden_layers=1),
     dict(target_modules=["q_proj"], trainable_token_indices=[7, 3, 21])),
    ("head_tokens", transformers.LlamaConfig, dict(num_hidden_layers=1),
     dict(target_modules=["v_proj"],
          trainable_token_indices={"lm_head": [4, 30], "embed_tokens": [5]})),
    ("parameters", transformers.LlamaConfig, dict(num_hidden_layers=1),
     dict(target_modules=["v_proj"], target_parameters=["q_proj.weight", "mlp.up_proj.weight"],
          rank_pattern={"q_proj": 5, "up_proj.weight": 2}, alpha_pattern={"q_proj.weight": 9})),
]


def logits_of(model, ids):
    return torch.cat([model(input_ids=text[None]).logits[0].float() for text in ids])


def write(name, kind, settings, adapter, seed):
    torch.manual_seed(seed)
    folder = HERE / name
    config = kind(**(BASE | settings))
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    with torch.no_grad():
        # Norms near one, weights large enough that every part of the arithmetic shows.
        for key, parameter in model.named_parameters():
            noise = torch.randn_like(parameter)
            parameter.copy_(1 + 0.2 * noise if "norm" in key else 0.3 * noise)
    if name in ("bfloat16", "float16"):
        model = model.to(getattr(torch, name))
    shards = dict(max_shard_size="4KB") if name == "biases" else {}
    model.save_pretrained(folder, **shards)
    # Read again, because .to(bfloat16) has rounded the frequencies of rotary positions too.
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    )
    model.eval()

    ids = [torch.randint(0, 40, (length,)) for length in LENGTHS]
    # The first text has them twice, the second not at all.
    if invocation := adapter.get("alora_invocation_tokens"):
        ids[1][ids[1] == invocation[0]] = 0
        for at in (1, 5):
            ids[0][at : at + len(invocation)] = torch.tensor(invocation)
    labels = [text.clone() for text in ids]
    labels[0][:5] = -100
    labels[1][3] = -100
    expected = {
        "ids": torch.cat(ids).float(),
        "labels": torch.cat(labels).float(),
        "logits": logits_of(model, ids).detach().clone(),
    }

    tuned = peft.get_peft_model(
        model, peft.LoraConfig(**(dict(r=3, lora_alpha=6, task_type="CAUSAL_LM") | adapter))
    )
    with torch.no_grad():
        for key, parameter in tuned.named_parameters():
            started = "lora_B" in key or "lora_embedding_A" in key  # as zeros
            if started or (parameter.requires_grad and "lora" not in key):
                parameter.add_(0.2 * torch.randn_like(parameter))
    # Not where the model was on the machine that made this.
    tuned.peft_config["default"].base_model_name_or_path = f"tests/golden/llama/{name}"
    tuned.save_pretrained(folder / "adapter")
    (folder / "adapter" / "README.md").unlink(missing_ok=True)
    tuned.train()
    logits = [tuned(input_ids=text[None]).logits[0] for text in ids]
    count = sum(int((label[1:] != -100).sum()) for label in labels)
    loss = sum(
        torch.nn.functional.cross_entropy(one[:-1], label[1:], ignore_index=-100, reduction="sum")
        for one, label in zip(logits, labels)
    ) / count
    loss.backward()
    if adapter.get("alora_invocation_tokens"):
        for i, text in enumerate(ids):
            answer = tuned.generate(
                input_ids=text[None], attention_mask=torch.ones_like(text[None]), do_sample=False,
                max_new_tokens=4, pad_token_id=0,
            )
            expected[f"generated_{i}"] = answer[0, len(text) :].float()
    expected["adapted_logits"] = torch.cat(logits).detach()
    expected["loss"] = loss.detach().reshape(1)
    for key, parameter in tuned.named_parameters():
        if parameter.requires_grad:
            key = key.removeprefix("base_model.model.").replace(".default", "")
            key = key.replace(".modules_to_save", "")
            expected["grad." + key] = parameter.grad.contiguous()
    safetensors.torch.save_file(expected, folder / "expected.safetensors")


def main():
    shutil.rmtree(HERE, ignore_errors=True)
    HERE.mkdir()
    for seed, case in enumerate(CASES):
        write(*case, seed)
        print(case[0])
    versions = {m.__name__: m.__version__ for m in (torch, transformers, peft)}
    (HERE / "VERSIONS.txt").write_text("".join(f"{k} {v}\n" for k, v in versions.items()))


if __name__ == "__main__":
    main()
