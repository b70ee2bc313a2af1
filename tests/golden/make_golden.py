"""Writes the golden files of tests/golden/core with PyTorch and transformers.

    python tests/golden/make_golden.py

Each line of a file is `name rows cols value ...`, values as C99 hexadecimal floats, so that nothing
is lost between here and C++. The versions that made the files stand in golden/VERSIONS.txt.
"""

import pathlib

import torch
import transformers

OUT = pathlib.Path(__file__).parent / "core"


class Golden:
    def __init__(self, name):
        self.path = OUT / f"{name}.txt"
        self.lines = []

    def add(self, name, tensor):
        t = torch.as_tensor(tensor)
        t = t.reshape(1, -1) if t.dim() < 2 else t
        values = " ".join(float(v).hex() for v in t.detach().to(torch.float64).flatten())
        self.lines.append(f"{name} {t.shape[0]} {t.shape[1]} {values}")

    def write(self):
        self.path.write_text("\n".join(self.lines) + "\n")


def optimizer_runs():
    steps = 20
    runs = {
        "adamw_default": lambda p: torch.optim.AdamW(p, foreach=False),
        "adamw_settings": lambda p: torch.optim.AdamW(
            p, lr=3e-2, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.3, foreach=False),
        "sgd_plain": lambda p: torch.optim.SGD(p, lr=0.1, weight_decay=0.05, foreach=False),
        "sgd_momentum": lambda p: torch.optim.SGD(
            p, lr=0.1, momentum=0.9, dampening=0.1, weight_decay=0.05, foreach=False),
        "sgd_nesterov": lambda p: torch.optim.SGD(
            p, lr=0.1, momentum=0.8, nesterov=True, foreach=False),
    }
    for dtype, suffix in ((torch.float32, "f32"), (torch.float64, "f64")):
        for name, make in runs.items():
            torch.manual_seed(1)
            golden = Golden(f"{name}_{suffix}")
            p = torch.nn.Parameter(torch.randn(3, 7, dtype=dtype))
            optimizer = make([p])
            golden.add("start", p)
            for step in range(steps):
                # Gradients over six orders of magnitude, and exact zeros.
                scale = 10.0 ** ((step % 7) - 4)
                p.grad = torch.randn(3, 7, dtype=dtype) * scale
                p.grad[0, 0] = 0
                golden.add(f"grad{step}", p.grad)
                optimizer.step()
                golden.add(f"value{step}", p)
            golden.write()


def groups_run():
    """LoRA+: B at 16 times the rate and without decay."""
    torch.manual_seed(2)
    golden = Golden("adamw_groups_f32")
    a = torch.nn.Parameter(torch.randn(2, 5))
    b = torch.nn.Parameter(torch.randn(4, 2))
    optimizer = torch.optim.AdamW(
        [{"params": [a]}, {"params": [b], "lr": 1.6e-2, "weight_decay": 0.0}],
        lr=1e-3, weight_decay=0.1, foreach=False)
    golden.add("start_a", a)
    golden.add("start_b", b)
    for step in range(10):
        a.grad, b.grad = torch.randn(2, 5), torch.randn(4, 2)
        golden.add(f"grad_a{step}", a.grad)
        golden.add(f"grad_b{step}", b.grad)
        optimizer.step()
        golden.add(f"value_a{step}", a)
        golden.add(f"value_b{step}", b)
    golden.write()


def clip_run():
    torch.manual_seed(3)
    golden = Golden("clip_f64")
    for name, max_norm in (("clipped", 0.5), ("kept", 100.0)):
        grads = [torch.randn(3, 4, dtype=torch.float64), torch.randn(2, 2, dtype=torch.float64)]
        parameters = [torch.nn.Parameter(torch.zeros_like(g)) for g in grads]
        for p, g in zip(parameters, grads):
            p.grad = g.clone()
        norm = torch.nn.utils.clip_grad_norm_(parameters, max_norm)
        golden.add(f"{name}_max", torch.tensor([max_norm], dtype=torch.float64))
        golden.add(f"{name}_norm", norm)
        for i, (p, g) in enumerate(zip(parameters, grads)):
            golden.add(f"{name}_before{i}", g)
            golden.add(f"{name}_after{i}", p.grad)
    golden.write()


def schedule_runs():
    golden = Golden("schedules_f64")
    total, warmup, peak = 23, 5, 2e-3
    makers = {
        "constant": lambda o: transformers.get_constant_schedule_with_warmup(o, warmup),
        "linear": lambda o: transformers.get_linear_schedule_with_warmup(o, warmup, total),
        "cosine": lambda o: transformers.get_cosine_schedule_with_warmup(o, warmup, total),
        "linear_without_warmup":
            lambda o: transformers.get_linear_schedule_with_warmup(o, 0, total),
    }
    for name, make in makers.items():
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=peak)
        schedule = make(optimizer)
        rates = []
        for _ in range(total + 1):
            rates.append(schedule.get_last_lr()[0])
            optimizer.step()
            schedule.step()
        golden.add(name, torch.tensor(rates, dtype=torch.float64))
    golden.write()


def cross_entropy_run():
    torch.manual_seed(4)
    golden = Golden("cross_entropy_f32")
    logits = torch.nn.Parameter(torch.randn(9, 6) * 4)
    labels = torch.tensor([0, 5, 3, 3, 1, 2, 4, 0, 5])
    loss = torch.nn.functional.cross_entropy(logits, labels)
    loss.backward()
    golden.add("logits", logits)
    golden.add("labels", labels)
    golden.add("loss", loss)
    golden.add("gradient", logits.grad)
    golden.write()


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    optimizer_runs()
    groups_run()
    clip_run()
    schedule_runs()
    cross_entropy_run()
    (OUT / "VERSIONS.txt").write_text(
        f"torch {torch.__version__}\ntransformers {transformers.__version__}\n")
