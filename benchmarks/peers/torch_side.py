"""PyTorch's and PEFT's side of the comparison: see protocol.hpp for what it reads and answers.

Variants of a layer:

    eager      PEFT's LoRA layer as get_peft_model makes it
    compiled   the same through torch.compile; for inference with frozen weights, which packs them,
               and with the search for the fastest kernel
    onednn     the same with its base layer packed once by oneDNN (torch.utils.mkldnn); inference

Of torch.optim.AdamW: fused, foreach, loop.
"""

import copy
import gc
import json
import sys
import time

import numpy
import peft
import torch
import torch.utils.mkldnn

INFERENCE = ("forward", "forward_off", "product")


def read(folder, name, *shape):
    values = numpy.fromfile(f"{folder}/{name}.f32", dtype=numpy.float32)
    return torch.from_numpy(values.reshape(shape))


def write(folder, name, tensor):
    tensor.detach().contiguous().numpy().tofile(f"{folder}/{name}.f32")


class Model(torch.nn.Module):
    """A model of one linear layer, for get_peft_model to adapt."""

    def __init__(self, weight):
        super().__init__()
        out_features, in_features = weight.shape
        # Made without memory: the weight comes from the file.
        self.layer = torch.nn.Linear(in_features, out_features, bias=False, device="meta")
        self.layer.weight = torch.nn.Parameter(weight, requires_grad=False)

    def forward(self, x):
        return self.layer(x)


class LayerCase:
    def __init__(self, settings):
        folder = settings["folder"]
        tokens, features, out, rank = (
            int(settings[key]) for key in ("tokens", "in", "out", "rank"))
        self.x = read(folder, "x", tokens, features)
        self.dy = read(folder, "dy", tokens, out)
        model = peft.get_peft_model(
            Model(read(folder, "w", out, features)),
            peft.LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0, target_modules=["layer"]))
        # The layer itself, as the model around it calls it: the wrapper of a model of one layer
        # costs what is nothing in a real model.
        self.layer = model.base_model.model.layer
        self.weight = self.layer.base_layer.weight
        self.a = self.layer.lora_A["default"].weight
        self.b = self.layer.lora_B["default"].weight
        with torch.no_grad():
            self.a.copy_(read(folder, "a", rank, features))
            self.b.copy_(read(folder, "b", out, rank))
        self.layers = {("eager", True): self.layer, ("eager", False): self.layer}
        self.y = None

    def _layer(self, operation, variant):
        """Returns the layer as the variant wants it, made when it is first asked for."""
        key = variant, operation in INFERENCE
        if key not in self.layers:
            self.layers[key] = self._made(*key)
        return self.layers[key]

    def _made(self, variant, inference):
        if variant == "compiled":
            options = {"freezing": True, "max_autotune": True} if inference else {}
            return torch.compile(self.layer, options=options)
        if variant == "onednn" and inference:
            packed = copy.copy(self.layer)
            packed._modules = dict(self.layer._modules)  # of its own; the modules are shared
            packed.base_layer = torch.utils.mkldnn.to_mkldnn(copy.deepcopy(self.layer.base_layer))
            return packed
        raise ValueError(f"no variant {variant} for this operation")

    def work(self, operation, variant):
        """Returns what to do before each call, and the call."""
        if operation in ("merge", "merge_kept"):
            return self._unmerge, self.layer.merge
        layer = self._layer(operation, variant)
        if operation == "train":
            return lambda: None, lambda: self._step(layer)
        if operation == "frozen_step":
            return lambda: None, lambda: self._step(layer.base_layer)
        # Only under no_grad does torch.compile pack frozen weights.
        mode = torch.no_grad if variant == "compiled" else torch.inference_mode
        called = layer.base_layer if operation == "product" else layer

        def infer():
            with mode():
                self.y = called(self.x)

        return lambda: layer.enable_adapters(operation != "forward_off"), infer

    def _step(self, layer):
        self.x.requires_grad_()
        self.x.grad = self.a.grad = self.b.grad = None
        self.y = layer(self.x)
        self.y.backward(self.dy)

    def _unmerge(self):
        if self.layer.merged:
            self.layer.unmerge()

    def write(self, operation, folder):
        if operation in ("merge", "merge_kept"):
            write(folder, "w", self.weight)
            self._unmerge()
            return
        write(folder, "y", self.y)
        if operation in ("train", "frozen_step"):
            write(folder, "dx", self.x.grad)
        if operation == "train":
            write(folder, "da", self.a.grad)
            write(folder, "db", self.b.grad)


class AdamWCase:
    SETTINGS = {"fused": {"fused": True}, "foreach": {"foreach": True}, "loop": {"foreach": False}}

    def __init__(self, settings):
        shape = int(settings["tensors"]), int(settings["size"])
        self.values = read(settings["folder"], "p", *shape)
        self.gradients = read(settings["folder"], "g", *shape)
        self.optimizers = {}

    def _optimizer(self, variant):
        if variant not in self.optimizers:
            parameters = [torch.nn.Parameter(row.clone()) for row in self.values]
            for parameter, gradient in zip(parameters, self.gradients):
                parameter.grad = gradient.clone()
            self.optimizers[variant] = parameters, torch.optim.AdamW(
                parameters, lr=1e-3, weight_decay=1e-2, **self.SETTINGS[variant])
        return self.optimizers[variant]

    def work(self, operation, variant):
        return lambda: None, self._optimizer(variant)[1].step

    def write(self, variant, folder):
        write(folder, "p", torch.stack([p.detach() for p in self.optimizers[variant][0]]))


class Side:
    def __init__(self):
        self.case = None

    def info(self):
        return "info " + json.dumps({
            "torch": torch.__version__,
            "peft": peft.__version__,
            "python": sys.version.split()[0],
            "capability": torch.backends.cpu.get_cpu_capability(),
            "mkl": torch.backends.mkl.is_available(),
            "onednn": torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled,
        })

    def setup(self, words):
        self.case = None
        torch.compiler.reset()
        gc.collect()
        settings = dict(word.split("=", 1) for word in words)
        torch.set_num_threads(int(settings["threads"]))
        self.case = (AdamWCase if settings["kind"] == "adamw" else LayerCase)(settings)
        return "ready"

    def check(self, words):
        operation, variant, folder = words
        prepare, call = self.case.work(operation, variant)
        prepare()
        call()
        self.case.write(variant if isinstance(self.case, AdamWCase) else operation, folder)
        return "ready"

    def time(self, words):
        operation, variant, untimed, timed = words[0], words[1], int(words[2]), int(words[3])
        prepare, call = self.case.work(operation, variant)
        seconds = []
        # A collection in the middle of a call is no part of it.
        gc.disable()
        for i in range(untimed + timed):
            prepare()
            start = time.perf_counter()
            call()
            end = time.perf_counter()
            if i >= untimed:
                seconds.append(end - start)
        gc.enable()
        return "seconds " + " ".join(f"{s:.9g}" for s in seconds)

    def memory(self):
        with open("/proc/self/status", encoding="ascii") as status:
            lines = dict(line.split(":", 1) for line in status)
        peak, now = (int(lines[key].split()[0]) for key in ("VmHWM", "VmRSS"))
        return f"memory {peak} {now}"

    def answer_to(self, line):
        command, *words = line.split()
        if command in ("info", "memory"):
            return getattr(self, command)()
        if command in ("setup", "check", "time"):
            return getattr(self, command)(words)
        raise ValueError(f"unknown command: {command}")


def main():
    # What libraries print must not come between the answers.
    answers = sys.stdout
    sys.stdout = sys.stderr
    side = Side()
    for line in sys.stdin:
        try:
            answer = side.answer_to(line)
        except Exception as error:  # every failure is the driver's to judge
            answer = "error " + f"{type(error).__name__}: {error}".replace("\n", " ")
        print(answer, file=answers, flush=True)


if __name__ == "__main__":
    main()
