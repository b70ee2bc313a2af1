#!/usr/bin/env python3
"""Writes the golden files of tests/models/resnet: small ResNets with random weights and norms,
adapters that PEFT made for them, and what transformers and PEFT compute with them.

    python3 tests/golden/make_golden_resnet.py

Each folder has a model as transformers saves it, adapter/ as PEFT saves it, and
expected.safetensors: two images, one row a pixel, channels last; the logits without and with the
adapter; the loss of labels 0 and 2, and its gradients. torchvision/ is the model of bottleneck/
under torchvision's names, training/ what one step of the model of basic/ with the statistics of
its batch computes. It needs torch, transformers and peft; VERSIONS.txt says which.
"""

import json
import os
import pathlib
import re
import shutil

import peft
import safetensors.torch
import torch
import transformers

HERE = pathlib.Path(__file__).parent / "resnet"
HEIGHT, WIDTH = 37, 34
BASE = dict(num_channels=3, embedding_size=6, hidden_sizes=[8, 12], depths=[1, 2],
            layer_type="basic", num_labels=3)

# Name, the model's settings, the adapter's settings.
CASES = [
    ("basic", {}, dict(target_modules=["convolution"], modules_to_save=["classifier"])),
    ("bottleneck", dict(layer_type="bottleneck", hidden_sizes=[16, 24]),
     dict(target_modules=["convolution", "classifier.1"], use_rslora=True)),
    ("v1", dict(layer_type="bottleneck", hidden_sizes=[16, 24], downsample_in_bottleneck=True),
     dict(target_modules=r"resnet\.encoder\..*\.layer\.\d+\.convolution",
          rank_pattern={r"layer\.1\.convolution": 2}, alpha_pattern={"convolution": 5})),
    ("first_stage", dict(downsample_in_first_stage=True),
     dict(target_modules=r".*stages\.1.*convolution", bias="all")),
    # Norms that train, with statistics that have moved.
    ("norms", {}, dict(target_modules=["convolution"],
                       modules_to_save=["classifier", "normalization"])),
    # A ResNeXt: "groups" and "width_per_group" are not transformers'.
    ("grouped", dict(layer_type="bottleneck", hidden_sizes=[16, 24]),
     dict(target_modules=["convolution"], r=4)),
]


def torchvision_name(name):
    name = name.replace("resnet.embedder.embedder.convolution", "conv1")
    name = name.replace("resnet.embedder.embedder.normalization", "bn1")
    name = name.replace("classifier.1", "fc")
    block = re.match(r"resnet\.encoder\.stages\.(\d+)\.layers\.(\d+)\.(.*)", name)
    if not block:
        return name
    stage, layer, rest = block.groups()
    rest = rest.replace("shortcut.convolution", "downsample.0")
    rest = rest.replace("shortcut.normalization", "downsample.1")
    rest = re.sub(r"layer\.(\d+)\.convolution", lambda m: f"conv{int(m[1]) + 1}", rest)
    rest = re.sub(r"layer\.(\d+)\.normalization", lambda m: f"bn{int(m[1]) + 1}", rest)
    return f"layer{int(stage) + 1}.{layer}.{rest}"


def pixels_of(images):
    return images.permute(0, 2, 3, 1).reshape(-1, 3).contiguous()


def randomise(model):
    """Gives a model weights, and statistics of norms, that are those of no new one."""
    with torch.no_grad():
        for key, tensor in model.state_dict().items():
            if key.endswith("num_batches_tracked"):
                continue
            noise = torch.randn_like(tensor)
            if key.endswith("running_var"):
                tensor.copy_(0.5 + noise.abs())
            elif tensor.dim() == 1 and key.endswith(".weight"):
                tensor.copy_(1 + 0.2 * noise)
            elif tensor.dim() == 4:
                tensor.copy_(noise / tensor[0].numel() ** 0.5)
            else:
                tensor.copy_(0.3 * noise)


def grow_groups(model, groups):
    """Gives the 3 x 3 of each bottleneck groups of as many channels as it had: torchvision's ResNeXt
    of a width_per_group of 64."""
    for stage in model.resnet.encoder.stages:
        for block in stage.layers:
            first, middle, last = [part.convolution for part in block.layer]
            width = groups * first.out_channels
            convolutions = [
                torch.nn.Conv2d(first.in_channels, width, 1, first.stride, bias=False),
                torch.nn.Conv2d(width, width, 3, middle.stride, 1, groups=groups, bias=False),
                torch.nn.Conv2d(width, last.out_channels, 1, bias=False)]
            for part, convolution in zip(block.layer, convolutions):
                part.convolution = convolution
                part.normalization = torch.nn.BatchNorm2d(convolution.out_channels)


def random_model(settings, groups=1):
    """Makes a model of transformers and randomises it."""
    model = transformers.ResNetForImageClassification(transformers.ResNetConfig(**(BASE | settings)))
    if groups > 1:
        grow_groups(model, groups)
    randomise(model)
    return model


def write(name, settings, adapter, seed):
    torch.manual_seed(seed)
    folder = pathlib.Path(name)
    groups = 2 if name == "grouped" else 1
    model = random_model(settings, groups)
    model.save_pretrained(folder)
    if groups > 1:
        config = json.loads((folder / "config.json").read_text())
        config |= dict(model_type="lora-resnet", groups=groups, width_per_group=64)
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    model.eval()
    images = torch.randn(2, 3, HEIGHT, WIDTH)
    expected = {"pixels": pixels_of(images), "logits": model(images).logits.detach().clone()}
    if name == "bottleneck":
        other = pathlib.Path("torchvision")
        other.mkdir(exist_ok=True)
        tensors = {torchvision_name(k): v.contiguous() for k, v in model.state_dict().items()}
        safetensors.torch.save_file(tensors, other / "model.safetensors")

    tuned = peft.get_peft_model(model, peft.LoraConfig(**(dict(r=3, lora_alpha=6) | adapter)))
    with torch.no_grad():
        for key, parameter in tuned.named_parameters():
            if "lora_B" in key or (parameter.requires_grad and "lora" not in key):
                parameter.add_(0.2 * torch.randn_like(parameter))
    if name == "norms":
        tuned.train()
        tuned(3 * images + 1)
    tuned.save_pretrained(folder / "adapter")
    (folder / "adapter" / "README.md").unlink(missing_ok=True)
    # Frozen statistics: PEFT's own training would move them.
    tuned.eval()
    logits = tuned(images).logits
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor([0, 2]))
    loss.backward()
    expected["adapted_logits"] = logits.detach()
    expected["loss"] = loss.detach().reshape(1)
    for key, parameter in tuned.named_parameters():
        if parameter.grad is not None:
            key = key.removeprefix("base_model.model.").replace(".default", "")
            key = key.replace(".modules_to_save", "")
            expected["grad." + key] = parameter.grad.contiguous()
    safetensors.torch.save_file(expected, folder / "expected.safetensors")


def write_training():
    """One step of the model of basic/ in training: norms take the statistics of the batch."""
    pathlib.Path("training").mkdir(exist_ok=True)
    torch.manual_seed(20)
    model = transformers.ResNetForImageClassification.from_pretrained("basic").train()
    images = torch.randn(2, 3, HEIGHT, WIDTH)
    logits = model(images).logits
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor([0, 2]))
    loss.backward()
    expected = {"pixels": pixels_of(images), "logits": logits.detach(),
                "loss": loss.detach().reshape(1)}
    for key, parameter in model.named_parameters():
        expected["grad." + key] = parameter.grad.contiguous()
    for key, tensor in model.state_dict().items():
        if "running" in key:
            expected[key] = tensor.clone()
    safetensors.torch.save_file(expected, "training/expected.safetensors")


def main():
    shutil.rmtree(HERE, ignore_errors=True)
    HERE.mkdir()
    os.chdir(HERE)
    for seed, (name, settings, adapter) in enumerate(CASES):
        write(name, settings, adapter, seed)
    write_training()
    plain = transformers.ResNetForImageClassification(
        transformers.ResNetConfig(**(BASE | dict(layer_type="bottleneck", hidden_sizes=[16, 24]))))
    names = [name for name, _ in plain.named_modules()]
    pathlib.Path("modules.json").write_text(json.dumps(names, indent=0) + "\n")
    pathlib.Path("VERSIONS.txt").write_text(
        f"torch {torch.__version__}\ntransformers {transformers.__version__}\n"
        f"peft {peft.__version__}\n")


if __name__ == "__main__":
    main()
