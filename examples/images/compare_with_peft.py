#!/usr/bin/env python3
"""Adapts the example's ResNet in C++ and again in Python, on PyTorch and PEFT, and compares.

    compare_with_peft.py --program build/images/examples/images/images \\
        --fashion build/images/fashion-mnist --seeds 3 --rank 4 --threads 2

Both sides start from one base and learn the same images for as long, with the same settings; start
values, order and the moves of images are random on both. Python runs twice: with the batch norms'
statistics frozen, as in C++, and with PEFT's own default, where they move. Each adapter is then saved,
loaded into the base anew and tried again, which shows what the default costs. Checked are that the
means of C++ and of Python with frozen statistics differ by at most 5 points, and that their adapters
give the same after loading.

Needs torch, transformers, peft.
"""

import argparse
import json
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

AGREEMENT = 5.0


def base_model(folder, labels):
    """Builds the network for small images that C++ has saved in `folder`, with `labels` classes."""
    import safetensors.torch
    import torch
    import transformers

    settings = json.loads((folder / "config.json").read_text())
    kept = ("num_channels", "embedding_size", "hidden_sizes", "depths", "layer_type",
            "downsample_in_first_stage", "downsample_in_bottleneck")
    config = transformers.ResNetConfig(num_labels=labels, **{key: settings[key] for key in kept})
    model = transformers.ResNetForImageClassification(config)
    # transformers knows the stem of ImageNet's networks alone.
    stem = model.resnet.embedder
    stem.embedder.convolution = torch.nn.Conv2d(
        config.num_channels, config.embedding_size, 3, padding=1, bias=False)
    stem.pooler = torch.nn.Identity()
    tensors = safetensors.torch.load_file(folder / "model.safetensors")
    body = {key: value for key, value in tensors.items() if not key.startswith("classifier.")}
    missing, unexpected = model.load_state_dict(body, strict=False)
    assert not unexpected and set(missing) == {"classifier.1.weight", "classifier.1.bias"}, missing
    torch.nn.init.normal_(model.classifier[1].weight, std=0.02)
    torch.nn.init.zeros_(model.classifier[1].bias)
    return model


def images_of(path):
    import safetensors.torch

    tensors = safetensors.torch.load_file(path)
    pixels = (tensors["images"].float() / 255 - 0.286) / 0.353
    return pixels.permute(0, 3, 1, 2).contiguous(), tensors["labels"].long()


def moved(images):
    """Flips and moves each image at random, as the example does."""
    import torch

    height, width = images.shape[2:]
    padded = torch.nn.functional.pad(images, (2, 2, 2, 2))
    out = torch.empty_like(images)
    for i in range(len(images)):
        y, x = torch.randint(0, 5, (2,)).tolist()
        part = padded[i, :, y:y + height, x:x + width]
        out[i] = part.flip(2) if torch.rand(()) < 0.5 else part
    return out


def percent_right(model, images, labels):
    import torch

    model.eval()
    with torch.no_grad():
        return 100 * (model(images).logits.argmax(1) == labels).float().mean().item()


def run_python(arguments, base, folder, seed, frozen):
    """Returns the accuracy after training, and of the adapter loaded into the base anew."""
    import peft
    import torch

    torch.manual_seed(seed)
    torch.set_num_threads(arguments.threads)
    images, labels = images_of(folder / "train.safetensors")
    test = images_of(folder / "test.safetensors")
    config = peft.LoraConfig(r=arguments.rank, lora_alpha=2 * arguments.rank,
                             target_modules=["convolution"], modules_to_save=["classifier"])
    model = peft.get_peft_model(base_model(base, 5), config)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=arguments.learning_rate, weight_decay=0)
    steps = arguments.epochs * ((len(images) + arguments.batch - 1) // arguments.batch)
    warm = -(-steps // 10)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps - warm)
    rise = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: (step + 1) / warm)
    schedule = torch.optim.lr_scheduler.SequentialLR(optimizer, [rise, cosine], [warm])
    for _ in range(arguments.epochs):
        model.train()
        for module in model.modules():
            if frozen and isinstance(module, torch.nn.BatchNorm2d):
                module.eval()
        for some in torch.randperm(len(images)).split(arguments.batch):
            loss = torch.nn.functional.cross_entropy(model(moved(images[some])).logits, labels[some])
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            schedule.step()
    accuracy = percent_right(model, *test)
    with tempfile.TemporaryDirectory() as saved:
        model.save_pretrained(saved)
        again = peft.PeftModel.from_pretrained(base_model(base, 5), saved)
        return accuracy, percent_right(again, *test)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", required=True, type=pathlib.Path)
    parser.add_argument("--fashion", required=True, type=pathlib.Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rank", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--batch", type=int, default=20)
    parser.add_argument("--learning-rate", type=float, default=1e-2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("images-with-peft"))
    arguments = parser.parse_args()

    printed = subprocess.run(
        [arguments.program, "--fashion", arguments.fashion, "--seeds", str(arguments.seeds),
         "--ranks", str(arguments.rank), "--epochs", str(arguments.epochs), "--batch",
         str(arguments.batch), "--learning-rate", str(arguments.learning_rate), "--threads",
         str(arguments.threads), "--out", arguments.out, "--keep-images"],
        check=True, capture_output=True, text=True).stdout
    print(printed)
    row = next(line for line in printed.splitlines() if line.startswith("LoRA"))
    ours = float(re.search(r"%\s+([\d.]+) \+-", row)[1])

    print("beside PEFT, LoRA of rank", arguments.rank)
    means = {}
    for frozen in (True, False):
        pairs = [run_python(arguments, arguments.out / "base", arguments.out / f"seed-{1 + i}",
                            1 + i, frozen) for i in range(arguments.seeds)]
        means[frozen] = [statistics.mean(pair[side] for pair in pairs) for side in (0, 1)]
        spread = [statistics.stdev(pair[side] for pair in pairs) for side in (0, 1)]
        print(f"Python, statistics {'frozen' if frozen else 'moving'}: "
              f"{means[frozen][0]:.1f} +- {spread[0]:.1f} %, "
              f"loaded again {means[frozen][1]:.1f} +- {spread[1]:.1f} %")
    print(f"C++: {ours:.1f} %")
    agree = abs(ours - means[True][0]) <= AGREEMENT and abs(means[True][0] - means[True][1]) < 0.01
    print("they agree" if agree else "THEY DO NOT AGREE")
    return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(main())
