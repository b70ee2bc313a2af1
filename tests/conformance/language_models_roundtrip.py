#!/usr/bin/env python3
"""Checks that adapters of language models survive the way from PEFT to C++ and back, and train alike.

    python3 tests/conformance/language_models_roundtrip.py PROGRAM

For each case here transformers makes a small language model with random weights, and PEFT an adapter
of it; PROGRAM (lora_language_model_roundtrip) loads both, computes the logits and the gradients of
texts that are padded on one side, and writes the adapter back; PeftModel.from_pretrained loads what
it wrote. Logits have to agree to 1e-4 with PEFT's own, both ways, the loss to 1e-5 and the gradient of
everything that trains to 1e-3, relative; every tensor and every setting has to be as PEFT itself
writes it after loading. Models and adapters of what is not built have to be refused by the name of
the option. It needs torch, transformers and peft.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import peft
import safetensors.torch
import torch
import transformers
from transformers import GPT2Config, LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "golden"))
import make_golden_gpt2  # noqa: E402
import make_golden_llama  # noqa: E402
from make_golden_llama import rope  # noqa: E402
from peft_roundtrip import (  # noqa: E402
    changed_settings,
    finish,
    judge,
    refusal,
    refused_wrongly,
    start,
)
from resnet_roundtrip import changed_tensors  # noqa: E402

LENGTHS = [12, 7, 1]
GRADIENT_TOLERANCE = 1e-3
LINEAR = {"target_modules": "all-linear"}
QV = {"target_modules": ["q_proj", "v_proj"]}
TIED = {"tie_word_embeddings": True}
# Which PEFT heeds where embeddings are tied and train under the names that it knows.
TOGETHER = LINEAR | {"ensure_weight_tying": True}
SAVED_HEAD = {"modules_to_save": ["lm_head"]}
SAVED_EMBEDDINGS = {"modules_to_save": ["embed_tokens"]}
YARN = {"factor": 4.0, "original_max_position_embeddings": 16}
LLAMA3 = YARN | {"low_freq_factor": 1.0, "high_freq_factor": 4.0}
SLIDING = {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1}

# Name, the model's config and its settings, the adapter's settings.
CASES = [
    # Kinds of models.
    ("llama", LlamaConfig, {}, {}),
    ("one_key_head", LlamaConfig, {"num_key_value_heads": 1}, LINEAR),
    ("as_many_key_heads", LlamaConfig, {"num_key_value_heads": 4}, LINEAR),
    ("head_dim", LlamaConfig, {"head_dim": 6}, LINEAR),
    ("biases", LlamaConfig, {"attention_bias": True, "mlp_bias": True}, LINEAR | {"bias": "all"}),
    ("gelu", LlamaConfig, {"hidden_act": "gelu"}, LINEAR),
    ("tied", LlamaConfig, TIED, LINEAR),
    ("tied_beside_head", LlamaConfig, TIED, LINEAR),
    ("without_prefix", LlamaConfig, TIED, QV),
    ("shards", LlamaConfig, {}, QV),
    ("mistral", MistralConfig, {"sliding_window": 3}, {}),
    ("mistral_whole", MistralConfig, {"sliding_window": None, "head_dim": 8}, LINEAR),
    ("qwen2", Qwen2Config, SLIDING, {}),
    ("qwen2_tied", Qwen2Config, TIED, LINEAR | {"bias": "lora_only"}),
    (
        "qwen2_layer_types",
        Qwen2Config,
        SLIDING | {"layer_types": ["sliding_attention", "full_attention"]},
        LINEAR | {"bias": "all"},
    ),
    ("qwen3", Qwen3Config, {"head_dim": 8}, {}),
    (
        "qwen3_windows",
        Qwen3Config,
        SLIDING | TIED | {"head_dim": 8, "attention_bias": True},
        LINEAR | {"bias": "lora_only"},
    ),
    # Rotary positions.
    ("linear", LlamaConfig, rope("linear", factor=3.0), QV),
    ("dynamic", LlamaConfig, {"max_position_embeddings": 8} | rope("dynamic", factor=2.0), QV),
    ("llama3", LlamaConfig, rope("llama3", **LLAMA3), QV),
    ("yarn", LlamaConfig, rope("yarn", **YARN), QV),
    (
        "yarn_attention",
        Qwen2Config,
        rope("yarn", **YARN, attention_factor=0.7, beta_fast=8.0, beta_slow=2.0),
        QV,
    ),
    (
        "yarn_mscale",
        MistralConfig,
        rope("yarn", **YARN, mscale=0.7, mscale_all_dim=1.3, truncate=False),
        QV,
    ),
    ("yarn_qwen3", Qwen3Config, {"head_dim": 8} | rope("yarn", **YARN), LINEAR),
    ("older_rope", LlamaConfig, {}, QV),
    ("llama3_beside", LlamaConfig, rope("llama3", **LLAMA3), QV),
    ("yarn_beside", LlamaConfig, rope("yarn", **YARN), QV),
    ("yarn_without_original", LlamaConfig, rope("yarn", factor=2.0), QV),
    # GPT-2.
    ("gpt2", GPT2Config, {}, {}),
    ("gpt2_linear", GPT2Config, {"n_inner": None}, LINEAR | {"use_rslora": True}),
    (
        "gpt2_scaled",
        GPT2Config,
        {
            "scale_attn_by_inverse_layer_idx": True,
            "reorder_and_upcast_attn": True,
            "activation_function": "relu",
        },
        {
            "target_modules": ["c_proj", "c_fc"],
            "fan_in_fan_out": True,
            "rank_pattern": {"mlp.c_proj": 2},
            "alpha_pattern": {"c_fc": 9},
        },
    ),
    (
        "gpt2_untied",
        GPT2Config,
        {"scale_attn_weights": False, "tie_word_embeddings": False, "activation_function": "tanh"},
        {"target_modules": ["c_attn", "lm_head"]},
    ),
    ("gpt2_tied_head", GPT2Config, {}, {"target_modules": ["lm_head", "c_fc"]}),
    ("gpt2_all_biases", GPT2Config, {}, {"target_modules": ["c_attn"], "bias": "all"}),
    ("gpt2_lora_only", GPT2Config, {}, LINEAR | {"bias": "lora_only"}),
    (
        "gpt2_saved",
        GPT2Config,
        {},
        {"target_modules": ["attn.c_proj"], "modules_to_save": ["ln_f", "wpe", "ln_1"]},
    ),
    (
        "gpt2_saved_ends",
        GPT2Config,
        {"tie_word_embeddings": False},
        {"target_modules": ["c_fc"], "modules_to_save": ["wte", "lm_head"]},
    ),
    (
        "gpt2_last_layer",
        GPT2Config,
        {},
        {"target_modules": ["c_attn", "c_fc"], "layers_to_transform": [1], "layers_pattern": "h"},
    ),
    ("gpt2_without_prefix", GPT2Config, {}, {}),
    (
        "gpt2_dropout",
        GPT2Config,
        {"resid_pdrop": 0.1, "embd_pdrop": 0.2, "attn_pdrop": 0.3},
        {"target_modules": ["c_attn"], "lora_dropout": 0.2},
    ),
    # Which modules.
    ("null_targets", Qwen3Config, {"head_dim": 8}, {}),
    ("linear_in_file", MistralConfig, {}, LINEAR),
    (
        "expression",
        LlamaConfig,
        {},
        {"target_modules": r"model\.layers\.[01]\.(?:mlp|self_attn)\.(q|up|down)_proj"},
    ),
    ("with_head", LlamaConfig, {}, {"target_modules": r".*(k_proj|lm_head)"}),
    ("excluded", LlamaConfig, {}, LINEAR | {"exclude_modules": ["down_proj", "layers.0.mlp.up_proj"]}),
    ("last_layer", LlamaConfig, {}, QV | {"layers_to_transform": [1]}),
    ("numbered", LlamaConfig, {}, QV | {"layers_to_transform": 0, "layers_pattern": ["layers"]}),
    ("one_module", Qwen2Config, {}, {"target_modules": ["model.layers.0.mlp.gate_proj"]}),
    ("head_alone", LlamaConfig, {}, {"target_modules": ["lm_head"]}),
    ("tied_head", LlamaConfig, TIED, {"target_modules": ["lm_head", "o_proj"]}),
    # Ranks and alphas.
    (
        "patterns",
        LlamaConfig,
        {},
        LINEAR
        | {
            "rank_pattern": {r"^model\.layers\.0\..*_proj": 1, "gate_proj": 7},
            "alpha_pattern": {"self_attn.q_proj": 9, r"layers\.1\.mlp\..*": 0.5},
        },
    ),
    (
        "rslora_patterns",
        Qwen2Config,
        {},
        LINEAR | {"use_rslora": True, "rank_pattern": {"v_proj": 5}, "alpha_pattern": {"mlp.*": 2}},
    ),
    ("dora", LlamaConfig, {}, LINEAR | {"use_dora": True}),
    ("wide", LlamaConfig, {}, QV | {"r": 40, "lora_alpha": 20}),
    ("negative_alpha", LlamaConfig, {}, QV | {"lora_alpha": -2.5}),
    # What trains and is stored whole.
    ("saved_head", LlamaConfig, {}, {"target_modules": ["v_proj"], "modules_to_save": ["lm_head"]}),
    ("embeddings", LlamaConfig, {}, {"target_modules": ["embed_tokens", "q_proj"]}),
    ("tied_embeddings", LlamaConfig, TIED, {"target_modules": ["embed_tokens"], "r": 5}),
    ("gpt2_embeddings", GPT2Config, {}, {"target_modules": ["wte", "wpe", "c_fc"]}),
    ("saved_ends", LlamaConfig, {}, QV | {"modules_to_save": ["embed_tokens", "lm_head"]}),
    ("saved_norms", Qwen3Config, {"head_dim": 8}, QV | {"modules_to_save": ["norm", "q_norm"]}),
    ("saved_projection", Qwen2Config, {}, QV | {"modules_to_save": ["k_proj", "0.mlp.up_proj"]}),
    ("saved_block", LlamaConfig, {}, QV | {"modules_to_save": ["layers.1.mlp"]}),
    ("tied_saved_head", LlamaConfig, TIED, QV | SAVED_HEAD),
    ("tied_saved_embeddings", LlamaConfig, TIED, QV | SAVED_EMBEDDINGS),
    ("tied_saved_ends", LlamaConfig, TIED, QV | {"modules_to_save": ["lm_head", "embed_tokens"]}),
    ("saved_together", LlamaConfig, {}, TOGETHER | SAVED_EMBEDDINGS),
    ("gpt2_saved_together", GPT2Config, {}, TOGETHER | {"modules_to_save": ["wte"]}),
    ("tied_together", LlamaConfig, TIED, TOGETHER),
    ("saved_biases", Qwen2Config, {}, QV | {"modules_to_save": ["k_proj"], "bias": "all"}),
    # Initialisations and dropout.
    ("gaussian", LlamaConfig, {}, LINEAR | {"init_lora_weights": "gaussian"}),
    ("random_b", MistralConfig, {}, QV | {"init_lora_weights": False}),
    ("orthogonal", LlamaConfig, {}, QV | {"init_lora_weights": "orthogonal", "r": 4}),
    ("pissa", LlamaConfig, {}, LINEAR | {"init_lora_weights": "pissa"}),
    ("olora", Qwen2Config, {}, QV | {"init_lora_weights": "olora"}),
    ("pissa_dora", MistralConfig, {}, QV | {"init_lora_weights": "pissa", "use_dora": True}),
    ("gpt2_pissa", GPT2Config, {}, {"target_modules": ["c_fc"], "init_lora_weights": "pissa"}),
    ("parameters_pissa", LlamaConfig, {},
     {"target_modules": [], "target_parameters": ["o_proj.weight"], "init_lora_weights": "pissa"}),
    ("dropout", LlamaConfig, {"attention_dropout": 0.2}, LINEAR | {"lora_dropout": 0.3}),
    ("copies", LlamaConfig, {}, QV),
    ("tied_copies", Qwen2Config, TIED, QV),
    ("saved_copies", LlamaConfig, {}, QV | {"modules_to_save": ["embed_tokens", "lm_head"]}),
    ("saved_head_copies", Qwen3Config, TIED | {"head_dim": 8}, QV | SAVED_HEAD),
    ("gpt2_head_copies", GPT2Config, {}, {"target_modules": ["lm_head", "c_attn"]}),
    ("lora_bias", Qwen2Config, {}, LINEAR | {"lora_bias": True}),
    ("gpt2_lora_bias", GPT2Config, {}, LINEAR | {"lora_bias": True, "bias": "lora_only"}),
    ("replicated", LlamaConfig, {}, LINEAR | {"layer_replication": [(0, 2), (1, 2)]}),
    ("alora", MistralConfig, {}, LINEAR | {"alora_invocation_tokens": [32, 33]}),
    ("gpt2_alora", GPT2Config, {}, {"alora_invocation_tokens": [10, 16]}),
    # Rows of embeddings and heads that train.
    ("tokens", LlamaConfig, {}, QV | {"trainable_token_indices": [9, 0, 31]}),
    ("tokens_tied", Qwen3Config, TIED | {"head_dim": 8},
     QV | {"trainable_token_indices": {"embed_tokens": [3, 17]}}),
    ("tokens_of_head", MistralConfig, {},
     QV | {"trainable_token_indices": {"lm_head": [1, 2], "embed_tokens": [2]}}),
    ("tokens_of_tied_head", Qwen2Config, TIED, QV | {"trainable_token_indices": {"lm_head": [5]}}),
    ("tokens_apart", LlamaConfig, TIED,
     QV | {"trainable_token_indices": {"lm_head": [5], "embed_tokens": [6, 5]}}),
    ("gpt2_tokens", GPT2Config, {}, {"trainable_token_indices": {"wte": [8, 2], "wpe": [0]}}),
    ("float16_tokens", LlamaConfig, TIED, LINEAR | {"trainable_token_indices": [4, 30]}),
    # Weights of linear layers by their names.
    ("parameters", LlamaConfig, {},
     {"target_modules": [], "target_parameters": ["self_attn.q_proj.weight"], "use_rslora": True}),
    ("parameters_beside_default", Qwen3Config, {"head_dim": 8},
     {"target_parameters": ["gate_proj.weight", "o_proj.weight"]}),
    ("parameters_and_modules", Qwen2Config, {},
     {"target_modules": ["v_proj"], "target_parameters": ["q_proj.weight", "lm_head.weight"],
      "rank_pattern": {"q_proj": 5, "lm_head.weight": 2}, "alpha_pattern": {"q_proj.weight": 9},
      "bias": "lora_only"}),
    ("parameters_anyway", MistralConfig, {},
     {"target_modules": [], "target_parameters": ["k_proj.weight"], "bias": "all",
      "exclude_modules": ["k_proj"], "init_lora_weights": "gaussian"}),
    ("gpt2_parameters", GPT2Config, {},
     {"target_modules": [], "target_parameters": ["lm_head.weight"]}),
    ("parameters_replicated", LlamaConfig, {},
     {"target_modules": [], "target_parameters": ["q_proj.weight"],
      "layer_replication": [(0, 2), (1, 2)]}),
    ("no_task", LlamaConfig, {}, QV | {"task_type": None}),
    # Numbers in the files.
    ("bfloat16", LlamaConfig, {}, LINEAR),
    ("bfloat16_tied", Qwen3Config, TIED | {"head_dim": 8}, LINEAR | {"modules_to_save": ["norm"]}),
    ("bfloat16_gpt2", GPT2Config, {}, LINEAR),
    ("float16", Qwen2Config, {}, LINEAR),
    ("float16_gpt2", GPT2Config, {"tie_word_embeddings": False}, LINEAR),
    ("float16_adapter", LlamaConfig, {}, LINEAR),
    ("bfloat16_adapter", GPT2Config, {}, {"modules_to_save": ["ln_f"]}),
    ("float64_adapter", MistralConfig, {}, QV | SAVED_HEAD),
]

# What the files say otherwise than transformers and PEFT wrote it: null leaves a key out.
MODEL_EDITS = {
    "older_rope": {
        "rope_parameters": None,
        "rope_theta": 500.0,
        "rope_scaling": {"type": "linear", "factor": 2.0},
    },
    "llama3_beside": {"original_max_position_embeddings": 32},
    "yarn_beside": {"original_max_position_embeddings": 256},
}
EDITS = {
    "null_targets": {"target_modules": None},
    "linear_in_file": {"target_modules": "all-linear"},
}

# What has to stand in the message that refuses the adapter, the model's config, the adapter's
# settings, and what its file says otherwise.
REFUSED_ADAPTERS = [
    ("target_parameters", LlamaConfig, {}, {"target_parameters": ["mlp.experts.down_proj"]}),
    ("target_parameters", GPT2Config, {},
     {"target_modules": [], "target_parameters": ["attn.c_proj.weight"]}),
    ("target_parameters", LlamaConfig, {},
     {"target_modules": [], "target_parameters": ["embed_tokens.weight"]}),
    ("layer_replication is set", GPT2Config, {}, {"layer_replication": [[0, 2], [1, 2]]}),
]

# The same of models, with their settings. Sizes of mixtures of experts are not those of the others.
EXPERTS = {"num_local_experts": 2, "num_experts": 2, "moe_intermediate_size": 8}
LONG = {"short_factor": [1.0, 1.0], "long_factor": [2.0, 3.0], "factor": 2.0}
ATTENTION = {"target_modules": ["q_proj", "qkv_proj", "c_attn"]}
REFUSED_MODELS = [
    ('model_type is "gemma"', transformers.GemmaConfig, {"head_dim": 4}),
    ('model_type is "gemma2"', transformers.Gemma2Config, {"head_dim": 4}),
    ('model_type is "gemma3_text"', transformers.Gemma3TextConfig, {"head_dim": 4}),
    ('model_type is "mixtral"', transformers.MixtralConfig, EXPERTS),
    ('model_type is "qwen3_moe"', transformers.Qwen3MoeConfig, EXPERTS),
    ('model_type is "smollm3"', transformers.SmolLM3Config, {"pad_token_id": 0}),
    ('model_type is "phi3"', transformers.Phi3Config, {"pad_token_id": 0}),
    ('rope_type is "longrope"', LlamaConfig, rope("longrope", **LONG)),
    ("partial_rotary_factor is 0.5", LlamaConfig, rope("default", partial_rotary_factor=0.5)),
    ("add_cross_attention", GPT2Config, {"add_cross_attention": True}),
]

# What stands in the message that refuses what only model and adapter together say: the model's
# config, its settings and the adapter's.
SAVED_CONV1D = {"target_modules": ["c_fc"], "modules_to_save": ["c_attn"]}
REFUSED_TOGETHER = [
    ("not built for a Conv1D", GPT2Config, {}, SAVED_CONV1D),
    ("ensure_weight_tying is true", LlamaConfig, TIED, TOGETHER | SAVED_HEAD),
    ("ensure_weight_tying is true", Qwen2Config, TIED, TOGETHER | SAVED_EMBEDDINGS),
]

DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float64": torch.float64}


def dtype_of(name, suffix):
    """Returns the type that a case's name gives to its model, or with a suffix to its adapter."""
    kind, _, rest = name.partition("_")
    return DTYPES.get(kind) if (rest == "adapter") == (suffix == "adapter") else None


def edit_tensors(file, change):
    tensors = change(safetensors.torch.load_file(file))
    safetensors.torch.save_file(tensors, file, metadata={"format": "pt"})


def edit_json(file, edits):
    file.write_text(json.dumps(json.loads(file.read_text()) | edits))


def without_prefix(tensors):
    """Returns a model's tensors under the names that it has without its head."""
    return {key.removeprefix("transformer.").removeprefix("model."): v for key, v in tensors.items()}


def make_model(case, kind, settings):
    """Writes a model with random numbers."""
    base = make_golden_gpt2.BASE if kind is GPT2Config else make_golden_llama.BASE
    model = transformers.AutoModelForCausalLM.from_config(kind(**(base | settings)))
    with torch.no_grad():
        # Norms near one, weights large enough that every part of the arithmetic shows.
        for key, parameter in model.named_parameters():
            near_one = "norm" in key or ("ln_" in key and key.endswith("weight"))
            noise = torch.randn_like(parameter)
            parameter.copy_(1 + 0.2 * noise if near_one else 0.3 * noise)
    if dtype := dtype_of(case.name, "model"):
        model = model.to(dtype)
    folder, file = case / "model", case / "model" / "model.safetensors"
    model.save_pretrained(folder, **({"max_shard_size": "4KB"} if case.name == "shards" else {}))
    edit_json(folder / "config.json", MODEL_EDITS.get(case.name, {}))
    if case.name.endswith("without_prefix"):
        edit_tensors(file, without_prefix)
    if case.name == "tied_beside_head":
        head = 0.3 * torch.randn(model.lm_head.weight.shape)
        edit_tensors(file, lambda tensors: tensors | {"lm_head.weight": head})


def load(case, adapter=None, trains=False):
    model = transformers.AutoModelForCausalLM.from_pretrained(case / "model", dtype=torch.float32)
    if adapter:
        model = peft.PeftModel.from_pretrained(model, adapter, is_trainable=trains)
    return model.eval()


def make_adapter(case, options, edits):
    """Writes an adapter with random numbers of a case's model."""
    settings = {"r": 3, "lora_alpha": 6, "task_type": "CAUSAL_LM"} | options
    tuned = peft.get_peft_model(load(case), peft.LoraConfig(**settings))
    with torch.no_grad():
        for key, parameter in tuned.named_parameters():
            started = "lora_B" in key or "lora_embedding_A" in key  # as zeros
            if started or (parameter.requires_grad and "lora" not in key):
                parameter.add_(0.2 * torch.randn_like(parameter))
    copies = {"save_embedding_layers": True} if case.name.endswith("copies") else {}
    tuned.save_pretrained(case / "adapter", **copies)
    edit_json(case / "adapter" / "adapter_config.json", edits)
    if dtype := dtype_of(case.name, "adapter"):
        edit_tensors(
            case / "adapter" / "adapter_model.safetensors",
            lambda tensors: {key: value.to(dtype) for key, value in tensors.items()},
        )


def make_case(case, kind, settings, options, edits):
    make_model(case, kind, settings)
    make_adapter(case, options, edits)
    safetensors.torch.save_file(
        {key: value.float() for key, value in texts_of(case).items()}, case / "texts.safetensors"
    )


def texts_of(case):
    """Returns the texts of a case, padded on the left for half of the cases, and their labels."""
    left = sum(case.name.encode()) % 2
    generator = torch.Generator().manual_seed(len(case.name))
    ids = torch.randint(0, 40, (len(LENGTHS), max(LENGTHS)), generator=generator)
    mask = torch.stack([torch.arange(max(LENGTHS)) < length for length in LENGTHS])
    if left:
        mask = mask.flip(1)
    labels = ids.clone()
    labels[0, :5] = -100
    labels[1, 6 if left else 3] = -100
    labels[~mask] = -100
    return {"ids": ids, "attention_mask": mask, "labels": labels}


def run(model, texts):
    """Returns the logits of all tokens that are not padding, and the mean loss of next tokens. One
    text at a time: what others in the batch do to one is not what is asked for here."""
    logits, losses, count = [], [], 0
    for ids, mask, labels in zip(texts["ids"], texts["attention_mask"], texts["labels"]):
        logits.append(model(input_ids=ids[mask][None]).logits[0])
        following = labels[mask][1:]
        count += (following != -100).sum()
        losses.append(
            torch.nn.functional.cross_entropy(logits[-1][:-1], following, reduction="sum")
        )
    return torch.cat(logits), sum(losses) / count


def gradients(case, texts):
    """Returns PyTorch's gradients of what trains, under the names that tensors have in C++."""
    model = load(case, case / "adapter", trains=True)
    run(model, texts)[1].backward()
    named = {}
    for key, parameter in model.named_parameters():
        if parameter.requires_grad:
            key = key.removeprefix("base_model.model.").replace(".default", "")
            named[key.replace(".modules_to_save", "")] = parameter.grad
    return named


def changed_gradients(case, texts, results):
    """Returns the names of what trains and whose gradients are not PyTorch's."""
    ours = {k.removeprefix("grad."): v for k, v in results.items() if k.startswith("grad.")}
    theirs = gradients(case, texts)

    def same(key):
        if key not in ours or key not in theirs:
            return False
        difference = (ours[key].reshape(theirs[key].shape) - theirs[key]).norm()
        return difference <= GRADIENT_TOLERANCE * theirs[key].norm()

    return ["gradient of " + key for key in sorted(ours | theirs) if not same(key)]


def is_copy(case, key):
    """Tells whether PEFT stores a tensor a second time, and does not miss it when it loads: a bias
    that trains within modules_to_save, or the base model's own weight beside the adapter of a head.
    C++ reads them, and leaves them out."""
    if ".original_module." in key or ".modules_to_save." in key:
        return True
    if not key.endswith(".base_layer.weight"):
        return False
    tensor = safetensors.torch.load_file(case / "again" / "adapter_model.safetensors")[key]
    name = key.removeprefix("base_model.model.").replace(".base_layer", "")
    return torch.equal(tensor, load(case).state_dict()[name])


def check_case(case, back):
    name = case.name
    if refusal(back) is not None:
        print(f"FAIL {name:22} refused: {refusal(back)}")
        return False
    texts = texts_of(case)
    results = safetensors.torch.load_file(back / "results.safetensors")
    with torch.no_grad():
        adapted = load(case, case / "adapter")
        expected, loss = run(adapted, texts)
        adapted.save_pretrained(case / "again")
        again = (run(load(case, back), texts)[0] - expected).abs().max().item()
        moved = (expected - run(load(case), texts)[0]).abs().max().item()
    there = (results["logits"] - expected).abs().max().item()
    transposed = adapted.peft_config["default"].fan_in_fan_out
    changed = [key for key in changed_tensors(case / "again", back) if not is_copy(case, key)]
    changed += changed_settings(case / "again", back, transposed)
    changed += changed_gradients(case, texts, results)
    if abs(results["loss"].item() - loss.item()) > 1e-5 * loss.item():
        changed.append(f"loss {results['loss'].item()} for {loss.item()}")
    return judge(name, there, again, moved, changed)


def main():
    start(__doc__)
    with tempfile.TemporaryDirectory() as temporary:
        cases, back = pathlib.Path(temporary) / "cases", pathlib.Path(temporary) / "back"
        for seed, (name, kind, settings, options) in enumerate(CASES):
            torch.manual_seed(seed)
            make_case(cases / name, kind, settings, options, EDITS.get(name, {}))
        refused = []
        for why, kind, options, edits in REFUSED_ADAPTERS:
            refused.append((why, "adapter_config.json", kind, {}, options, edits))
        for why, kind, settings in REFUSED_MODELS:
            refused.append((why, "config.json", kind, settings, ATTENTION, {}))
        for why, kind, settings, options in REFUSED_TOGETHER:
            refused.append((why, "", kind, settings, options, {}))
        for i, (_, _, *how) in enumerate(refused):
            make_case(cases / f"refused_{i}", *how)
        subprocess.run([sys.argv[1], cases, back], check=True)
        failures = [name for name, *_ in CASES if not check_case(cases / name, back / name)]
        failures += refused_wrongly(back, [(why, file) for why, file, *_ in refused])
    finish(failures, f"{len(CASES)} adapters of language models", len(refused))


if __name__ == "__main__":
    main()
