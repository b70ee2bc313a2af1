#!/usr/bin/env python3
"""Writes the golden files of tests/models: a small BERT with random weights, adapters that PEFT made
for it, and what transformers and PEFT compute with them.

    python3 tests/golden/make_golden_bert.py [--minilm DIRECTORY]

    adapters/    adapters with their logits, loss and gradients
    activations/ the same of the adapter "patterns" in a model with another hidden_act
    full.safetensors  hidden states, and the gradients of full fine-tuning
    minilm/      of all-MiniLM-L6-v2, whose files lie in DIRECTORY: an adapter, hidden states with
                 and without it, and its gradients

It needs torch, transformers and peft; VERSIONS.txt says which.
"""

import argparse
import json
import pathlib
import shutil
import types

import peft
import safetensors.torch
import torch
import transformers

HERE = pathlib.Path(__file__).parent / "bert"


def lora(**settings):
    return dict(r=4, lora_alpha=6, lora_dropout=0.0) | settings


# Name, task of the model, settings of the adapter.
CASES = [
    ("plain", "SEQ_CLS", lora(target_modules=["query", "value"])),
    ("no_task", None, lora(target_modules=["query", "key", "dense"])),
    ("rslora", "SEQ_CLS", lora(target_modules=["query", "output.dense"], use_rslora=True)),
    (
        "patterns",
        "SEQ_CLS",
        lora(
            target_modules="all-linear",
            rank_pattern={"layer.0.*query": 2, "intermediate.dense": 3, "pooler.dense": 5},
            alpha_pattern={"value": 9, "^bert.encoder.layer.1.output.dense": 2},
        ),
    ),
    ("lora_only", "SEQ_CLS", lora(target_modules=["key", "intermediate.dense"], bias="lora_only")),
    ("all_biases", "SEQ_CLS", lora(target_modules=["query", "value"], bias="all")),
    (
        "modules_to_save",
        "SEQ_CLS",
        lora(target_modules=["value"], modules_to_save=["pooler", "key", "LayerNorm"]),
    ),
    (
        "one_layer",
        "SEQ_CLS",
        lora(target_modules=["query", "dense"], layers_to_transform=[1], layers_pattern="layer"),
    ),
    (
        "excluded",
        "SEQ_CLS",
        lora(target_modules="all-linear", exclude_modules=["value", "pooler.dense"]),
    ),
    (
        "expression",
        "SEQ_CLS",
        lora(target_modules=r".*layer\.[01]\.(attention\.self\.(query|key)|output\.dense)"),
    ),
    (
        "embeddings_saved",
        "SEQ_CLS",
        lora(target_modules=["query"], modules_to_save=["word_embeddings"]),
    ),
    ("tokens", "TOKEN_CLS", lora(target_modules=["query", "value", "output.dense"])),
    ("default_targets", "SEQ_CLS", lora(bias="lora_only")),
    ("features", "FEATURE_EXTRACTION", lora(target_modules="all-linear", bias="lora_only")),
    (
        "all_biases_saved",
        "SEQ_CLS",
        lora(target_modules=["query"], bias="all", modules_to_save=["pooler", "embeddings.LayerNorm"]),
    ),
    (
        "embedded",
        "SEQ_CLS",
        lora(target_modules=["word_embeddings", "position_embeddings", "query"]),
    ),
    (
        "token_rows",
        "SEQ_CLS",
        lora(target_modules=["query"], trainable_token_indices=[6, 0, 2]),
    ),
]

# What a file says otherwise than PEFT wrote it.
EDITS = {"default_targets": {"target_modules": None}}

ACTIVATIONS = ["gelu_new", "gelu_pytorch_tanh", "gelu_fast", "gelu_python", "relu", "tanh"]


def tiny_config():
    return transformers.BertConfig(
        vocab_size=50,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=12,
        type_vocab_size=2,
        num_labels=3,
        attn_implementation="eager",
    )


def randomise(parameters, seed):
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in parameters:
        noise = torch.randn(parameter.shape, generator=generator)
        with torch.no_grad():
            if "LayerNorm.weight" in name:
                parameter.copy_(1 + 0.2 * noise)
            elif "classifier" in name:
                parameter.copy_(0.3 * noise)
            elif name.endswith("bias"):
                parameter.copy_(0.1 * noise)
            else:
                parameter.copy_(0.2 * noise)


def batch():
    generator = torch.Generator().manual_seed(5)
    ids = torch.randint(0, 50, (4, 10), generator=generator)
    types = torch.zeros_like(ids)
    mask = torch.zeros_like(ids)
    for row, (first, length) in enumerate([(0, 10), (0, 4), (0, 8), (0, 7)]):
        mask[row, first : first + length] = 1
        types[row, first + length // 2 : first + length] = 1
    mask[3, 2] = 0  # a hole
    token_labels = torch.randint(0, 3, (4, 10), generator=generator)
    token_labels[torch.rand(4, 10, generator=generator) < 0.2] = -100
    token_labels[mask == 0] = -100
    return {
        "ids": ids,
        "type_ids": types,
        "attention_mask": mask,
        "labels": torch.tensor([[0, 2, 1, 2]]),
        "token_labels": token_labels,
    }


def model_class(task):
    if task == "TOKEN_CLS":
        return transformers.BertForTokenClassification
    if task == "FEATURE_EXTRACTION":
        return transformers.BertModel
    return transformers.BertForSequenceClassification


def load_base(directory, task, **config):
    model = model_class(task).from_pretrained(directory, attn_implementation="eager", **config)
    return model.eval()


def adapted(directory, name, task, settings):
    """Returns the PEFT model of a case; its factors are random, so that B is not zero."""
    config = peft.LoraConfig(task_type=task, **settings)
    model = peft.get_peft_model(load_base(directory, task), config)
    trained = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    randomise(trained, 100 + [case[0] for case in CASES].index(name))
    return model.eval()


def run(model, task, inputs, **more):
    if task == "FEATURE_EXTRACTION":
        output = model(
            input_ids=inputs["ids"],
            token_type_ids=inputs["type_ids"],
            attention_mask=inputs["attention_mask"],
        )
        # In place of logits, and a loss that every hidden state has a part in.
        hidden = packed(output.last_hidden_state, inputs)
        return types.SimpleNamespace(logits=hidden, loss=(hidden**2).mean() / 2)
    labels = inputs["token_labels"] if task == "TOKEN_CLS" else inputs["labels"][0]
    return model(
        input_ids=inputs["ids"],
        token_type_ids=inputs["type_ids"],
        attention_mask=inputs["attention_mask"],
        labels=labels,
        **more,
    )


def packed(per_token, inputs):
    """Leaves the rows of padding out, as the library does."""
    return per_token[inputs["attention_mask"] == 1].contiguous()


def logits_of(output, task, inputs):
    return packed(output.logits, inputs) if task == "TOKEN_CLS" else output.logits


def plain_name(name):
    """Returns the name under which an adapter's file keeps a parameter, without its prefix."""
    name = name.removeprefix("base_model.model.")
    return name.replace(".default", "").replace(".modules_to_save", "")


def results(model, task, inputs):
    model.zero_grad()
    output = run(model, task, inputs)
    output.loss.backward()
    tensors = {
        "logits": logits_of(output, task, inputs).detach(),
        "loss": output.loss.detach().reshape(1),
    }
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and parameter.grad is not None:
            tensors["grad." + plain_name(name)] = parameter.grad.clone()
    return tensors


def save(tensors, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.float().contiguous() for name, tensor in tensors.items()}
    safetensors.torch.save_file(tensors, path)


def write_adapter(model, directory, **edits):
    model.save_pretrained(directory)
    (directory / "README.md").unlink(missing_ok=True)
    config = json.loads((directory / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = None  # a path of this machine
    for key in ("target_modules", "exclude_modules"):
        if isinstance(config[key], list):
            config[key].sort()  # a set in PEFT: its order changes from run to run
    config |= edits
    (directory / "adapter_config.json").write_text(json.dumps(config, indent=2, sort_keys=True))


def write_minilm(directory):
    task = "FEATURE_EXTRACTION"
    model = load_base(directory, task)
    ids = torch.tensor([[101, 2023, 2003, 1037, 7953, 6251, 102], [101, 7592, 2088, 102, 0, 0, 0]])
    mask = (ids != 0).long()
    inputs = {"ids": ids, "type_ids": torch.zeros_like(ids), "attention_mask": mask}
    with torch.no_grad():
        hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state
    mean = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    save(inputs | {"hidden": hidden[mask == 1], "mean": mean}, HERE / "minilm/base.safetensors")
    settings = lora(target_modules=["query", "value", "output.dense"], r=1)
    model = adapted(directory, "plain", task, settings)
    write_adapter(model, HERE / "minilm")
    save(results(model, task, inputs), HERE / "minilm/results.safetensors")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--minilm", type=pathlib.Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    shutil.rmtree(HERE / "adapters", ignore_errors=True)

    config = tiny_config()
    model = transformers.BertForSequenceClassification(config)
    randomise(model.named_parameters(), 1)
    base = HERE / "tiny"
    model.save_pretrained(base)
    inputs = batch()
    save(inputs, HERE / "batch.safetensors")

    model = load_base(base, "SEQ_CLS")
    tensors = results(model, "SEQ_CLS", inputs)
    with torch.no_grad():
        hidden = run(model, "SEQ_CLS", inputs, output_hidden_states=True).hidden_states
        bare = transformers.BertModel.from_pretrained(base).eval()
        pooled = bare(
            input_ids=inputs["ids"],
            token_type_ids=inputs["type_ids"],
            attention_mask=inputs["attention_mask"],
        ).pooler_output
    for i, states in enumerate(hidden):
        tensors[f"hidden.{i}"] = packed(states, inputs)
    tensors["pooler_output"] = pooled
    save(tensors, HERE / "full.safetensors")
    names = {
        "sequence_classification": [name for name, _ in model.named_modules()],
        "token_classification": [name for name, _ in load_base(base, "TOKEN_CLS").named_modules()],
        "model": [name for name, _ in bare.named_modules()],
    }
    (HERE / "modules.json").write_text(json.dumps(names, indent=1))

    for name, task, settings in CASES:
        model = adapted(base, name, task, settings)
        write_adapter(model, HERE / "adapters" / name, **EDITS.get(name, {}))
        save(results(model, task, inputs), HERE / "adapters" / name / "results.safetensors")
    for name in ACTIVATIONS:
        model = load_base(base, "SEQ_CLS", hidden_act=name)
        model = peft.PeftModel.from_pretrained(
            model, HERE / "adapters" / "patterns", is_trainable=True
        ).eval()
        save(results(model, "SEQ_CLS", inputs), HERE / "activations" / f"{name}.safetensors")
    if arguments.minilm:
        shutil.rmtree(HERE / "minilm", ignore_errors=True)
        write_minilm(arguments.minilm)
    versions = {m.__name__: m.__version__ for m in (torch, transformers, peft)}
    (HERE / "VERSIONS.txt").write_text("".join(f"{n} {v}\n" for n, v in versions.items()))


if __name__ == "__main__":
    main()
