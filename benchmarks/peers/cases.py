"""What is compared: the cases, who takes part in each, and what this library aims at."""

import dataclasses

# Which calls of PyTorch stand for "PyTorch with PEFT": the fastest of these counts.
TRAINING = (("peft", "eager"), ("peft", "compiled"))
INFERENCE = (("peft", "eager"), ("peft", "compiled"), ("peft", "onednn"))
EAGER = (("peft", "eager"),)
STORAGES = ("dense", "packed")


@dataclasses.dataclass(frozen=True)
class Target:
    """What a case aims at: that a quantity of the table is at least or at most a number."""

    quantity: str
    least: float | None = None
    most: float | None = None

    def met(self, value):
        return value >= self.least if self.least is not None else value <= self.most

    def __str__(self):
        sign, number = (">=", self.least) if self.least is not None else ("<=", self.most)
        return f"{self.quantity} {sign} {number:g}"


@dataclasses.dataclass(frozen=True)
class Case:
    """One line of the table. Sizes are of x (tokens, width) and W (width, width)."""

    operation: str
    tokens: int = 0
    width: int = 0
    rank: int = 0
    peers: tuple = ()  # (side, variant) of PyTorch with PEFT
    beside: str = ""  # an operation of our own that is timed alternately: over_<beside>
    targets: tuple = ()  # all of them are to be met
    any_target: tuple = ()  # one of these is

    @property
    def name(self):
        if self.operation == "adamw":
            return f"adamw/parameters:{TENSORS * TENSOR_SIZE}"
        tokens = f"/tokens:{self.tokens}" if "merge" not in self.operation else ""
        return f"{self.operation}{tokens}/width:{self.width}/rank:{self.rank}"

    @property
    def layer(self):
        """What the sides set up."""
        return {"kind": "layer", "tokens": self.tokens, "in": self.width, "out": self.width,
                "rank": self.rank}

    @property
    def flops(self):
        """The useful operations of one call, two for each multiply-add, of the cheapest order."""
        frozen = 2 * self.tokens * self.width**2
        low_rank = 2 * self.tokens * self.rank * 2 * self.width
        return {"product": frozen, "forward": frozen + low_rank,
                "train": 2 * frozen + 3 * low_rank,
                "merge": 2 * self.rank * self.width**2 + self.width**2}.get(self.operation, 0)

    @property
    def bytes(self):
        """The bytes of weights, or of parameters and moments, that a call has to move once."""
        weight = 4 * self.width**2
        return {"product": weight, "forward": weight, "train": 2 * weight, "merge": 2 * weight,
                # p, g, m and v read; p, m and v written
                "adamw": 28 * TENSORS * TENSOR_SIZE}.get(self.operation, 0)

    def entries(self):
        """Lists who is timed: (side, variant, operation)."""
        if self.operation == "adamw":
            return [("lora", "adamw", "adamw"), ("libtorch", "cpp", "adamw"),
                    *((side, variant, "adamw") for side, variant in self.peers)]
        ours = [("lora", storage, operation) for storage in STORAGES
                for operation in (self.operation, self.beside) if operation]
        peers = [(side, variant, self.operation) for side, variant in self.peers]
        return [*ours, *peers, ("libtorch", "cpp", self.operation)]


# The trainable tensors of 80 layers: A (16, 4096) and B (4096, 16) of each.
TENSORS, TENSOR_SIZE = 160, 16 * 4096


def train(tokens, width, rank, target, peers=TRAINING):
    return Case("train", tokens, width, rank, peers, beside="frozen_step", targets=(target,))


CASES = (
    train(512, 1024, 16, Target("over_frozen_step", most=1.10)),
    train(512, 4096, 16, Target("over_frozen_step", most=1.05)),
    train(128, 768, 8, Target("faster_than_peft", least=1.5)),
    train(128, 1024, 8, Target("faster_than_peft", least=1.5)),
    train(512, 768, 8, Target("faster_than_peft", least=1.5)),
    train(512, 1024, 8, Target("faster_than_peft", least=1.5)),
    train(16, 256, 8, Target("faster_than_peft", least=3)),
    train(16, 768, 8, Target("faster_than_peft", least=3)),
    Case("forward", 16, 4096, 8, INFERENCE, targets=(Target("faster_than_peft", least=2),),
         any_target=(Target("of_fma_peak", least=0.6), Target("of_read_bandwidth", least=0.7))),
    Case("forward", 1, 4096, 8, INFERENCE, beside="forward_off",
         targets=(Target("over_forward_off", most=1.03), Target("of_read_bandwidth", least=0.8))),
    Case("product", 512, 2048, 8, (("peft", "eager"), ("peft", "onednn")),
         targets=(Target("of_fma_peak", least=0.85),)),
    Case("product", 512, 4096, 8, (("peft", "eager"), ("peft", "onednn")),
         targets=(Target("of_fma_peak", least=0.85),)),
    Case("merge", 1, 4096, 16, EAGER, targets=(Target("faster_than_peft", least=2),)),
    Case("adamw", peers=(("peft", "fused"), ("peft", "foreach"), ("peft", "loop")),
         targets=(Target("of_read_bandwidth", least=0.8),)),
)

# Peak memory of a training step, each in a process of its own.
MEMORY_CASES = tuple(case for case in CASES
                     if case.operation == "train" and case.rank == 16)
