#!/usr/bin/env python3
"""Writes the golden files of tests/models/gpt2: small GPT-2s with random weights, adapters that PEFT
made for them, and what transformers and PEFT compute with them.

    python3 tests/golden/make_golden_gpt2.py

Each folder has a model as transformers saves it, adapter/ as PEFT saves it, and expected.safetensors:
the ids and labels of two texts, logits without and with the adapter, the mean loss of both texts and
its gradients; with alora_invocation_tokens what each text goes on with. It needs torch, transformers and peft; VERSIONS.txt says which.
"""

import os
import pathlib
import shutil

import peft
import safetensors.torch
import torch
import transformers

HERE = pathlib.Path(__file__).parent / "gpt2"
LENGTHS = [12, 7]
BASE = dict(
    vocab_size=40, n_embd=16, n_layer=2, n_head=4, n_positions=16, n_inner=24, bos_token_id=1,
    eos_token_id=2, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
)

# Name, the model's settings, the adapter's settings.
CASES = [
    # PEFT's default targets: c_attn.
    ("gpt2", dict(n_inner=None, n_layer=1), {}),
    # Names as in OpenAI's own files, and the masks that those store.
    ("bare", {}, dict(target_modules="all-linear", bias="lora_only", use_rslora=True)),
    ("scaled", dict(scale_attn_by_inverse_layer_idx=True, reorder_and_upcast_attn=True,
                    activation_function="relu"),
     dict(target_modules=["c_proj", "c_fc"], fan_in_fan_out=True,
          rank_pattern={"mlp.c_proj": 2}, alpha_pattern={"c_fc": 9})),
    ("untied", dict(scale_attn_weights=False, tie_word_embeddings=False,
                    activation_function="tanh", bos_token_id=50256, eos_token_id=50256),
     dict(target_modules=["c_attn", "lm_head"])),
    ("all_biases", {}, dict(target_modules=["c_attn"], bias="all")),
    ("saved", {}, dict(target_modules=["attn.c_proj"], modules_to_save=["ln_f", "wpe"])),
    ("bfloat16", dict(activation_function="gelu"), dict(target_modules=["c_fc"])),
    ("embedded", dict(n_layer=1), dict(target_modules=["wte", "wpe", "c_attn"], lora_alpha=4)),
    ("alora", dict(n_layer=1), dict(target_modules=["c_attn", "mlp.c_proj"],
                                    alora_invocation_tokens=[7])),
    ("tokens", dict(n_layer=1), dict(target_modules=["c_attn"],
                                     trainable_token_indices={"wpe": [2, 0], "wte": [9, 1]})),
]


def logits_of(model, ids):
    return torch.cat([model(input_ids=text[None]).logits[0].float() for text in ids])


def strip(folder):
    """Saves the model again as OpenAI's files have it, without prefixes, with masks."""
    file = folder / "model.safetensors"
    tensors = {k.removeprefix("transformer."): v for k, v in safetensors.torch.load_file(file).items()}
    for layer in range(2):
        mask = torch.tril(torch.ones(16, 16, dtype=torch.uint8)).reshape(1, 1, 16, 16)
        tensors[f"h.{layer}.attn.bias"] = mask
        tensors[f"h.{layer}.attn.masked_bias"] = torch.tensor(-1e4)
    safetensors.torch.save_file(tensors, file, metadata={"format": "pt"})


def write(name, settings, adapter, seed):
    torch.manual_seed(seed)
    folder = pathlib.Path(name)
    config = transformers.GPT2Config(**(BASE | settings))
    model = transformers.GPT2LMHeadModel._from_config(config, attn_implementation="eager")
    with torch.no_grad():
        # Norms near one, weights large enough that every part of the arithmetic shows.
        for key, parameter in model.named_parameters():
            noise = torch.randn_like(parameter)
            near_one = "ln_" in key and key.endswith("weight")
            parameter.copy_(1 + 0.2 * noise if near_one else 0.3 * noise)
    if name == "bfloat16":
        model = model.to(torch.bfloat16)
    model.save_pretrained(folder)
    if name == "bare":
        strip(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    model = transformers.GPT2LMHeadModel.from_pretrained(
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
        if parameter.grad is not None:
            key = key.removeprefix("base_model.model.").replace(".default", "")
            key = key.replace(".modules_to_save", "")
            expected["grad." + key] = parameter.grad.contiguous()
    safetensors.torch.save_file(expected, folder / "expected.safetensors")


def main():
    shutil.rmtree(HERE, ignore_errors=True)
    HERE.mkdir()
    os.chdir(HERE)  # PEFT writes down where the model was
    for seed, case in enumerate(CASES):
        write(*case, seed)
        print(case[0])
    versions = {m.__name__: m.__version__ for m in (torch, transformers, peft)}
    (HERE / "VERSIONS.txt").write_text("".join(f"{k} {v}\n" for k, v in versions.items()))


if __name__ == "__main__":
    main()
