#!/usr/bin/env python3
"""Checks that adapters of ResNets survive the way from PEFT to C++ and back.

    python3 tests/conformance/resnet_roundtrip.py PROGRAM

For each case here transformers makes a small ResNet, whose weights and statistics are random, and
PEFT an adapter of it; PROGRAM (lora_resnet_roundtrip) loads both, computes logits and writes the
adapter back; PeftModel.from_pretrained loads what it wrote. Logits have to agree to 1e-4 with
PEFT's own, both ways; every tensor and every setting has to be the same. Adapters of what is not
built have to be refused by the name of the option. It needs torch, transformers and peft; where timm is there too,
its networks go the same way.
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

try:
    import timm
except ImportError:
    timm = None

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "golden"))
from make_golden_resnet import HEIGHT, WIDTH, pixels_of, random_model, randomise  # noqa: E402
from peft_roundtrip import (  # noqa: E402
    DTYPES,
    changed_settings,
    finish,
    judge,
    refusal,
    refused_wrongly,
    start,
)

BASIC = {"depths": [2, 2]}
BOTTLENECK = {"layer_type": "bottleneck", "hidden_sizes": [16, 24], "depths": [2, 2]}
V1 = BOTTLENECK | {"downsample_in_bottleneck": True}
FIRST_STAGE = BASIC | {"downsample_in_first_stage": True}
HEAD = {"modules_to_save": ["classifier"]}

# Name, the model's settings, the adapter's.
CASES = [
    ("convolutions_and_head", BASIC, {"target_modules": ["convolution"]} | HEAD),
    ("bottleneck", BOTTLENECK, {"target_modules": ["convolution"]} | HEAD),
    ("v1", V1, {"target_modules": ["convolution"]} | HEAD),
    ("first_stage", FIRST_STAGE, {"target_modules": ["convolution"]} | HEAD),
    ("adapted_head", BOTTLENECK, {"target_modules": ["convolution", "classifier.1"]}),
    ("head_alone_adapted", BASIC, {"target_modules": ["classifier.1"]}),
    ("linear_saved", BASIC, {"target_modules": ["convolution"], "modules_to_save": ["classifier.1"]}),
    (
        "ranks_and_alphas",
        BOTTLENECK,
        {
            "target_modules": ["convolution"],
            "rank_pattern": {r"layer\.1\.convolution": 5, "shortcut.convolution": 1},
            "alpha_pattern": {r".*stages\.0.*convolution": 3},
        }
        | HEAD,
    ),
    (
        "rslora_ranks",
        BASIC,
        {
            "target_modules": ["convolution", "classifier.1"],
            "use_rslora": True,
            "rank_pattern": {"classifier.1": 1, r"stages\.1\..*": 7},
        },
    ),
    ("dora", BASIC, {"target_modules": ["convolution", "classifier.1"], "use_dora": True}),
    # More than a kernel has inputs.
    ("wide", BASIC, {"target_modules": ["convolution"], "r": 40}),
    ("stem_alone", BASIC, {"target_modules": ["embedder.convolution"]} | HEAD),
    (
        "expression",
        V1,
        {"target_modules": r"resnet\.encoder\..*\.layer\.\d+\.convolution", "bias": "all"},
    ),
    ("lora_only", BASIC, {"target_modules": ["convolution", "classifier.1"], "bias": "lora_only"}),
    (
        "excluded",
        BOTTLENECK,
        {"target_modules": ["convolution"], "exclude_modules": ["shortcut.convolution"]},
    ),
    (
        "second_stage",
        BASIC,
        {
            "target_modules": ["convolution"],
            "layers_to_transform": [1],
            "layers_pattern": ["stages"],
        },
    ),
    ("numbered", BASIC, {"target_modules": ["convolution"], "layers_to_transform": [0]}),
    (
        "norms",
        BOTTLENECK,
        {"target_modules": ["convolution"], "modules_to_save": ["classifier", "normalization"]},
    ),
    (
        "gaussian",
        BASIC,
        {"target_modules": ["convolution"], "r": 24, "init_lora_weights": "gaussian"} | HEAD,
    ),
    ("dropout", BASIC, {"target_modules": ["convolution"], "lora_dropout": 0.3} | HEAD),
    ("lora_bias", BASIC, {"target_modules": ["convolution"], "lora_bias": True} | HEAD),
    ("float16", BASIC, {"target_modules": ["convolution"]} | HEAD),
    ("bfloat16", BOTTLENECK, {"target_modules": ["convolution"]} | HEAD),
]

# Name, timm's architecture, the adapter's settings.
TIMM_CASES = [
    (
        "timm_resnet18",
        "resnet18",
        {"target_modules": ["conv1", "conv2", "downsample.0"], "modules_to_save": ["fc"]},
    ),
    (
        "timm_resnet50",
        "resnet50",
        {
            "target_modules": r"layer[34]\..*\.conv[123]|fc",
            "rank_pattern": {"conv3": 5},
            "bias": "all",
        },
    ),
]

# What has to stand in the message that refuses the adapter, and its settings.
REFUSED = [
    ("init is pissa", {}),
    ("trainable_token_indices is a list", {}),
]
EDITS = {
    "init is pissa": {"init_lora_weights": "pissa"},
    "trainable_token_indices is a list": {"trainable_token_indices": [1]},
}


def load(case, adapter=None):
    config = json.loads((case / "model" / "config.json").read_text())
    if "architecture" in config:
        model = timm.create_model(config["architecture"], num_classes=config["num_classes"])
        model.load_state_dict(safetensors.torch.load_file(case / "model" / "model.safetensors"))
    else:
        model = transformers.ResNetForImageClassification.from_pretrained(case / "model")
    return (peft.PeftModel.from_pretrained(model, adapter) if adapter else model).eval()


def logits(case, images, adapter=None):
    with torch.no_grad():
        output = load(case, adapter)(images)
        return getattr(output, "logits", output)


def timm_model(architecture, folder):
    """Makes a network of timm with random numbers and writes it as the Hub has timm's."""
    model = timm.create_model(architecture, num_classes=5).eval()
    randomise(model)
    folder.mkdir(parents=True)
    safetensors.torch.save_file(model.state_dict(), folder / "model.safetensors")
    config = {"architecture": architecture, "num_classes": 5,
              "num_features": model.num_features, "pretrained_cfg": {"crop_pct": 0.95}}
    (folder / "config.json").write_text(json.dumps(config))
    return model


def make_case(case, settings, options, images):
    """Writes a model and an adapter of it, both with random numbers."""
    if isinstance(settings, str):
        model = timm_model(settings, case / "model")
    else:
        model = random_model(settings)
        model.save_pretrained(case / "model")
    config = peft.LoraConfig(**({"r": 3, "lora_alpha": 6} | options))
    tuned = peft.get_peft_model(model, config)
    with torch.no_grad():
        for key, parameter in tuned.named_parameters():
            if "lora_B" in key or (parameter.requires_grad and "lora" not in key):
                parameter.add_(0.2 * torch.randn_like(parameter))
    if "normalization" in options.get("modules_to_save", []):
        # Statistics that the adapter has for itself.
        tuned.train()
        tuned(3 * images + 1)
    tuned.save_pretrained(case / "adapter")
    if case.name in DTYPES:
        file = case / "adapter" / "adapter_model.safetensors"
        tensors = safetensors.torch.load_file(file)
        tensors = {key: value.to(DTYPES[case.name]) for key, value in tensors.items()}
        safetensors.torch.save_file(tensors, file, metadata={"format": "pt"})
    size = torch.tensor([[len(images), HEIGHT, WIDTH]], dtype=torch.float32)
    safetensors.torch.save_file(
        {"pixels": pixels_of(images), "size": size}, case / "pixels.safetensors"
    )


def changed_tensors(before, after):
    """Returns the names of what is not in both files with the same shape and the same numbers."""
    before, after = (
        safetensors.torch.load_file(directory / "adapter_model.safetensors")
        for directory in (before, after)
    )

    def same(key):
        if key not in before or key not in after or before[key].shape != after[key].shape:
            return False
        return torch.equal(before[key].double(), after[key].double())

    # How many batches a norm has seen is nothing that is computed with.
    return [
        key
        for key in sorted(before | after)
        if not same(key) and not key.endswith("num_batches_tracked")
    ]


def check_case(case, back, images):
    name = case.name
    if refusal(back) is not None:
        print(f"FAIL {name:22} refused: {refusal(back)}")
        return False
    expected = logits(case, images, case / "adapter")
    ours = safetensors.torch.load_file(back / "logits.safetensors")["logits"]
    there = (ours - expected).abs().max().item()
    again = (logits(case, images, back) - expected).abs().max().item()
    moved = (expected - logits(case, images)).abs().max().item()
    changed = changed_tensors(case / "adapter", back) + changed_settings(case / "adapter", back)
    return judge(name, there, again, moved, changed)


def main():
    start(__doc__)
    torch.manual_seed(0)
    images = torch.randn(2, 3, HEIGHT, WIDTH)
    with tempfile.TemporaryDirectory() as temporary:
        cases, back = pathlib.Path(temporary) / "cases", pathlib.Path(temporary) / "back"
        accepted = CASES + (TIMM_CASES if timm else [])
        for seed, (name, settings, options) in enumerate(accepted):
            torch.manual_seed(seed)
            make_case(cases / name, settings, options, images)
        for i, (why, options) in enumerate(REFUSED):
            case = cases / f"refused_{i}"
            make_case(case, BASIC, {"target_modules": ["convolution"]} | options, images)
            path = case / "adapter" / "adapter_config.json"
            path.write_text(json.dumps(json.loads(path.read_text()) | EDITS.get(why, {})))
        subprocess.run([sys.argv[1], cases, back], check=True)
        failures = [
            name for name, *_ in accepted if not check_case(cases / name, back / name, images)
        ]
        failures += refused_wrongly(back, [(why,) for why, _ in REFUSED])
    finish(
        failures,
        f"{len(accepted)} adapters of ResNets",
        len(REFUSED),
        f", timm {timm.__version__ if timm else 'is not there'}",
    )


if __name__ == "__main__":
    main()
