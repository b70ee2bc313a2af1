#!/usr/bin/env python3
"""Checks that adapters survive the way from PEFT to C++ and back, over PEFT's options.

    python3 tests/conformance/peft_roundtrip.py PROGRAM

PEFT makes an adapter for each case of make_golden_bert.py and for more here; PROGRAM
(lora_bert_roundtrip) loads each, computes logits and writes the adapter back;
PeftModel.from_pretrained loads what it wrote. Logits have to agree to 1e-4 with PEFT's own, both
ways, and every setting has to be the same. Adapters of what is not built have to be refused by the
name of the option. It needs torch, transformers and peft.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import warnings

import peft
import safetensors.torch
import torch
import transformers

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "golden"))
import make_golden_bert as golden  # noqa: E402
from make_golden_bert import lora  # noqa: E402

TOLERANCE = 1e-4
SEQ, TOKENS, FEATURES = "SEQ_CLS", "TOKEN_CLS", "FEATURE_EXTRACTION"

MORE_CASES = [
    # Initialisations that leave the base as it is.
    ("random_b", SEQ, lora(target_modules=["value"], init_lora_weights=False)),
    ("gaussian", SEQ, lora(target_modules=["value"], init_lora_weights="gaussian", lora_dropout=0.1)),
    ("orthogonal", SEQ, lora(target_modules=["value"], init_lora_weights="orthogonal")),
    ("mica", SEQ, lora(target_modules=["value"], init_lora_weights="mica")),
    ("eva", SEQ, lora(target_modules=["value"], init_lora_weights="eva")),
    # Ranks and alphas.
    ("negative_alpha", SEQ, lora(target_modules=["query"], lora_alpha=-3, use_rslora=True)),
    ("real_alpha", SEQ, lora(target_modules=["query"], lora_alpha=2.5, alpha_pattern={"0.*y": 0.5})),
    ("wide", SEQ, lora(target_modules=["key"], r=40)),
    (
        "rslora_patterns",
        SEQ,
        lora(
            target_modules=["query", "value"],
            use_rslora=True,
            rank_pattern={"query": 9, r"^bert\..*1.*value": 1},
            alpha_pattern={"layer.0.*": 3},
        ),
    ),
    # Which modules.
    ("default_layer", SEQ, lora(layers_to_transform=[0])),
    ("layer_as_number", SEQ, lora(target_modules=["dense"], layers_to_transform=0)),
    (
        "two_lists",
        SEQ,
        lora(
            target_modules=["query"], layers_to_transform=[1, 7], layers_pattern=["blocks", "lay.r"]
        ),
    ),
    (
        "one_full_name",
        SEQ,
        lora(
            target_modules=["bert.encoder.layer.1.output.dense", "value"], layers_to_transform=0
        ),
    ),
    ("excluded_by_expression", SEQ, lora(target_modules=["dense"], exclude_modules=r".*1\..*|.*r")),
    ("linear_no_task", None, lora(target_modules="all-linear")),
    ("linear_upper_case", SEQ, lora(target_modules="ALL-LINEAR", exclude_modules=["dense"])),
    # Biases and modules that are stored whole.
    ("lora_only_dense", SEQ, lora(target_modules=["dense"], bias="lora_only")),
    ("all_biases_no_task", None, lora(target_modules=["dense"], bias="all")),
    ("saved_no_task", None, lora(target_modules=["query"], modules_to_save=["classifier"])),
    (
        "everything",
        SEQ,
        lora(
            target_modules=["query", "key", "value", "dense"],
            exclude_modules=r".*layer\.0\.output\.dense",
            use_rslora=True,
            bias="all",
            rank_pattern={"query": 1, r"layer\.1\..*dense": 7},
            alpha_pattern={"query": 0.5},
            modules_to_save=["attention.output.LayerNorm"],
        ),
    ),
    # Other tasks.
    ("tokens_all", TOKENS, lora(target_modules=["dense"], bias="all")),
    ("tokens_saved", TOKENS, lora(target_modules=["key"], modules_to_save=["output"])),
    ("tokens_linear", TOKENS, lora(target_modules="all-linear", exclude_modules=["classifier"])),
    ("tokens_default", TOKENS, lora(use_rslora=True)),
    ("dora", SEQ, lora(target_modules=["query", "dense"], use_dora=True)),
    ("lora_bias", SEQ, lora(target_modules=["query", "dense"], lora_bias=True)),
    ("lora_bias_all", TOKENS, lora(target_modules=["value"], lora_bias=True, bias="all")),
    ("token_rows_of_all_tables", SEQ, lora(
        target_modules=["value"],
        trainable_token_indices={
            "word_embeddings": [31, 0], "position_embeddings": [2], "token_type_embeddings": [1, 0],
        },
    )),
    ("tokens_token_rows", TOKENS, lora(target_modules=["key"], trainable_token_indices=[12])),
    ("features_token_rows", FEATURES, lora(target_modules=["query"], trainable_token_indices=[4, 3])),
    ("parameters", SEQ, lora(
        target_modules=["value"], target_parameters=["query.weight", "attention.output.dense.weight"],
        rank_pattern={"query.weight": 2, "dense": 5}, alpha_pattern={"dense.weight": 3},
    )),
    ("features_parameters", FEATURES, lora(target_modules=[], target_parameters=["key.weight"], bias="all")),
    ("embedding_dora", SEQ, lora(target_modules=["word_embeddings", "dense"], use_dora=True)),
    ("features_all", FEATURES, lora(target_modules=["dense"], bias="all")),
    ("features_saved", FEATURES, lora(target_modules=["value"], modules_to_save=["key"])),
    # What the files say otherwise than PEFT wrote it, below.
    ("fan_in_fan_out", SEQ, lora(target_modules=["query", "dense"])),
    ("unknown_field", SEQ, lora(target_modules=["query"])),
    ("few_fields", SEQ, lora(target_modules=["query"], r=8, lora_alpha=8)),
    ("tokens_null_targets", TOKENS, lora()),
    ("float16", SEQ, lora(target_modules=["query"])),
    ("bfloat16", SEQ, lora(target_modules=["query"], bias="lora_only")),
    ("float64", SEQ, lora(target_modules=["query"], modules_to_save=["pooler"])),
]

EDITS = golden.EDITS | {
    "fan_in_fan_out": {"fan_in_fan_out": True},
    "unknown_field": {"of_a_later_release": {"a": [1, None, "x"]}},
    "default_layer": {"target_modules": None},
    "tokens_default": {"target_modules": None},
    "tokens_null_targets": {"target_modules": None, "modules_to_save": None},
}
KEPT_FIELDS = {"few_fields": ["peft_type", "task_type", "target_modules"]}
DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float64": torch.float64}

# What has to stand in the message that refuses the adapter, the class of its config, its settings
# and what its file says otherwise: an option that PEFT can only build elsewhere.
REFUSED = [
    ("init is pissa", peft.LoraConfig, {"init_lora_weights": "pissa"}, {}),
    ("init is olora", peft.LoraConfig, {"init_lora_weights": "olora"}, {}),
    ('init_lora_weights is "pissa_niter_2"', peft.LoraConfig, {"init_lora_weights": "pissa_niter_2"}, {}),
    ('init_lora_weights is "loftq"', peft.LoraConfig, {}, {"init_lora_weights": "loftq"}),
    ('init_lora_weights is "corda"', peft.LoraConfig, {}, {"init_lora_weights": "corda"}),
    ('init_lora_weights is "lora_ga"', peft.LoraConfig, {}, {"init_lora_weights": "lora_ga"}),
    ("target_parameters", peft.LoraConfig, {}, {"target_parameters": ["experts.down"]}),
    ("target_parameters and lora_dropout are set", peft.LoraConfig, {"lora_dropout": 0.1},
     {"target_parameters": ["key.weight"]}),
    ('"query.weight", which is the weight of', peft.LoraConfig, {},
     {"target_parameters": ["query.weight"]}),
    ("layer_replication is set", peft.LoraConfig, {}, {"layer_replication": [[0, 2], [1, 2]]}),
    ("alora_invocation_tokens are set", peft.LoraConfig, {}, {"alora_invocation_tokens": [3]}),
    ("use_qalora is true", peft.LoraConfig, {}, {"use_qalora": True}),
    ("use_bdlora", peft.LoraConfig, {}, {"use_bdlora": {"nblocks": 2}}),
    ("arrow_config", peft.LoraConfig, {}, {"arrow_config": {"top_k": 2}}),
    ("kasa_config", peft.LoraConfig, {}, {"kasa_config": {"beta": 0.1}}),
    ("velora_config", peft.LoraConfig, {}, {"velora_config": {"num_groups": 2}}),
    ("monteclora_config", peft.LoraConfig, {}, {"monteclora_config": {"num_samples": 2}}),
    ('peft_type is "IA3"', peft.IA3Config, {"feedforward_modules": []}, {}),
    ('peft_type is "LOHA"', peft.LoHaConfig, {}, {}),
]


def edit(directory, name):
    """Changes what PEFT saved as the case wants it."""
    path = directory / "adapter_config.json"
    config = json.loads(path.read_text())
    if name in KEPT_FIELDS:
        config = {key: config[key] for key in KEPT_FIELDS[name]}
    path.write_text(json.dumps(config | EDITS.get(name, {})))
    if name in DTYPES:
        weights = directory / "adapter_model.safetensors"
        tensors = safetensors.torch.load_file(weights)
        safetensors.torch.save_file(
            {key: value.to(DTYPES[name]) for key, value in tensors.items()},
            weights,
            metadata={"format": "pt"},
        )


def logits(base, task, directory, inputs):
    """Returns what PEFT computes with the adapter in `directory`; without one, the base model."""
    model = golden.load_base(base, task)
    if directory is not None:
        model = peft.PeftModel.from_pretrained(model, directory).eval()
    with torch.no_grad():
        return golden.logits_of(golden.run(model, task, inputs), task, inputs)


def settings(directory):
    config = json.loads((directory / "adapter_config.json").read_text())
    # Left out, a field has its default.
    for key, value in peft.LoraConfig().to_dict().items():
        config.setdefault(key, value)
    # PEFT adds these when it loads an adapter, and so does C++: the heads of a task, and the default
    # of target_modules.
    if config["target_modules"] is None:
        config["target_modules"] = ["query", "value"]
    if config["task_type"] in (SEQ, TOKENS):
        config["modules_to_save"] = (config["modules_to_save"] or []) + ["classifier", "score"]
    # Order means nothing in these, and PEFT repeats heads at every load.
    for key in ("target_modules", "target_parameters", "exclude_modules", "modules_to_save"):
        if isinstance(config.get(key), list):
            config[key] = sorted(set(config[key]))
    # One entry may stand alone or in a list.
    for key in ("layers_to_transform", "layers_pattern"):
        if isinstance(config.get(key), (int, str)):
            config[key] = [config[key]]
    # These say how and with what an adapter was saved, not what it is.
    for key in ("inference_mode", "peft_version", "runtime_config"):
        config.pop(key, None)
    return config


def changed_settings(before, after, fan_in_fan_out=False):
    """Returns the names of the settings that are not the same in two directories."""
    before, after = settings(before), settings(after)
    # PEFT sets it to what the adapted layers need when it loads an adapter, and so does C++.
    before["fan_in_fan_out"] = fan_in_fan_out
    return [key for key in sorted(before | after) if before.get(key, "-") != after.get(key, "-")]


def refusal(back):
    """Returns why C++ refused the adapter, or None."""
    message = back / "refused.txt"
    return message.read_text().strip() if message.exists() else None


def judge(name, there, again, moved, changed):
    """Prints how far logits are apart in C++, and back in PEFT, how much the adapter moves them, and
    what is not as it was; returns whether that is good."""
    good = there <= TOLERANCE and again <= TOLERANCE and moved > 100 * TOLERANCE and not changed
    print(
        f"{'ok  ' if good else 'FAIL'} {name:22} C++ {there:.1e}  back in PEFT {again:.1e}"
        f"  adapter's effect {moved:.1e}  {'CHANGED: ' + str(changed) if changed else 'kept'}"
    )
    return good


def check_case(name, task, base, root, inputs, expected):
    back = root / "back" / name
    if refusal(back) is not None:
        print(f"FAIL {name:22} refused: {refusal(back)}")
        return False
    ours = safetensors.torch.load_file(back / "logits.safetensors")["logits"]
    there = (ours - expected).abs().max().item()
    again = (logits(base, task, back, inputs) - expected).abs().max().item()
    moved = (expected - logits(base, task, None, inputs)).abs().max().item()
    return judge(name, there, again, moved, changed_settings(root / "from_peft" / name, back))


# Of these, and of other scripts', what the model refuses that is built for the file's settings: its
# message names no file.
REFUSED_BY_MODEL = [
    "init is pissa",
    "init is olora",
    '"query.weight", which is the weight of',
    "layer_replication is set",
    "alora_invocation_tokens are set",
    "trainable_token_indices is a list",
]


def check_refused(why, back, file="adapter_config.json"):
    """Prints whether the message that refuses a case says why, and in which file; returns it."""
    text = refusal(back) or "accepted"
    good = why in text and (file in text or why in REFUSED_BY_MODEL)
    print(f"{'ok  ' if good else 'FAIL'} {why:38} {text.split(': ', 1)[-1]}")
    return good


def start(usage):
    """Ends a script that was not called with the name of a program; makes its libraries quiet."""
    if len(sys.argv) != 2:
        sys.exit(usage)
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)


def refused_wrongly(back, refused):
    """Returns the reasons of the cases refused_<i> that C++ did not refuse for them. An element of
    `refused` is a reason, and the file to be named if that is not the adapter's."""
    return [
        case[0]
        for i, case in enumerate(refused)
        if not check_refused(case[0], back / f"refused_{i}", *case[1:])
    ]


def finish(failures, went, refused, more=""):
    """Ends a script: with the names of what failed, or by saying what went to C++ and back, how many
    cases were refused, and by which versions."""
    if failures:
        sys.exit("failed: " + ", ".join(failures))
    print(
        f"{went} went to C++ and back, {refused} were refused by name:"
        f" peft {peft.__version__}, transformers {transformers.__version__}{more}"
    )


def main():
    start(__doc__)
    base = golden.HERE / "tiny"
    inputs = golden.batch()
    cases = golden.CASES + MORE_CASES
    golden.CASES[:] = cases  # which seed the random factors
    with tempfile.TemporaryDirectory() as temporary:
        root = pathlib.Path(temporary)
        expected = {}
        for name, task, options in cases:
            directory = root / "from_peft" / name
            golden.adapted(base, name, task, options).save_pretrained(directory)
            edit(directory, name)
            expected[name] = logits(base, task, directory, inputs)
        for i, (_, kind, options, edits) in enumerate(REFUSED):
            config = kind(task_type=SEQ, target_modules=["query"], **options)
            directory = root / "from_peft" / f"refused_{i}"
            peft.get_peft_model(golden.load_base(base, SEQ), config).save_pretrained(directory)
            path = directory / "adapter_config.json"
            path.write_text(json.dumps(json.loads(path.read_text()) | edits))
        golden.save(inputs, root / "batch.safetensors")
        subprocess.run(
            [sys.argv[1], base, root / "batch.safetensors", root / "from_peft", root / "back"],
            check=True,
        )
        failures = [
            name
            for name, task, _ in cases
            if not check_case(name, task, base, root, inputs, expected[name])
        ]
        failures += refused_wrongly(root / "back", [(why,) for why, *_ in REFUSED])
    finish(failures, f"{len(cases)} adapters", len(REFUSED))


if __name__ == "__main__":
    main()
