"""Writes the golden files of tests/golden/io with PEFT and safetensors (make_golden_patterns.py
writes patterns.json).

    python tests/golden/make_golden_io.py

    tensors.safetensors  tensors of many types; values.txt holds their numbers
    targets.json         settings, module name, and whether PEFT adapts it
    selections.json      whole models: modules, settings, what PEFT adapted and what it stores whole
    default_targets.json what PEFT adapts by model type when target_modules is left out
    adapters/            adapters that PEFT saved for one small network, and what it then computes

The versions that made the files stand in io/VERSIONS.txt.
"""

import copy
import json
import pathlib
import platform
import shutil
import warnings

import numpy
import peft
import safetensors
import safetensors.torch
import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.tuners_utils import BaseTunerLayer, check_target_module_exists
from peft.utils import ModulesToSaveWrapper
from peft.utils.other import get_pattern_key
from transformers.pytorch_utils import Conv1D

from make_golden import Golden

OUT = pathlib.Path(__file__).parent / "io"
warnings.simplefilter("ignore")


def write_json(name, rows):
    lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
    (OUT / name).write_text(f"[\n{lines}\n]\n")


# ---- safetensors ----


def tensors():
    torch.manual_seed(1)
    numbers = torch.randn(3, 5, dtype=torch.float64) * 100
    floating = {
        "f64": numbers,
        "f32": numbers.float(),
        "f16": numbers.half(),
        "bf16": numbers.bfloat16(),
        "vector": torch.randn(7),
        "special": torch.tensor([0.0, -0.0, float("inf"), -float("inf"), 1e-45, 3.4e38]),
        "subnormal_f16": torch.tensor([6e-8, -6e-5, 65504.0]).half(),
    }
    others = {
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 4),
        "three_dimensions": torch.arange(24, dtype=torch.float32).reshape(2, 3, 4),
        "i64": torch.arange(-2, 3),
        "u8": torch.arange(5, dtype=torch.uint8),
        "bool": torch.tensor([True, False, True]),
        "näme": torch.ones(1),
    }
    safetensors.torch.save_file({**floating, **others}, OUT / "tensors.safetensors",
                                metadata={"format": "pt"})
    golden = Golden("values")
    golden.path = OUT / "values.txt"
    for name, tensor in floating.items():
        golden.add(name, tensor)
    golden.write()


# ---- Which modules ----


def targets():
    q = "transformer.h.1.attn.attention.q_proj"
    nested = "model.layers.1.layers.0.up_proj"
    experts = "model.layers.1.mlp.experts.7.w1"
    rows = []

    def add(name, **settings):
        found = check_target_module_exists(LoraConfig(**settings), name)
        adapted = bool(found) and type(found).__name__ != "_ExcludedModule"
        rows.append({"name": name, "settings": settings, "adapted": adapted})

    def layers(name, entries, indices, names):
        add(name, target_modules=entries, layers_to_transform=indices, layers_pattern=names)

    # The cases of PEFT's own tests/test_tuners_utils.py.
    for name, entries in (("", []), ("", ["foo"]), ("foo", []), ("foo", ["foo"]), ("foo", ["bar"]),
                          ("foo", ["foo", "bar"]), ("foo", "foo"), ("foo", ".*oo"),
                          ("foo", "fo.*"), ("foo", ".*bar.*"), ("foobar", ".*oba.*")):
        add(name, target_modules=entries)
    for name in ("foo.bar.1.baz", "foo.bar.10.baz", "foo.bar.001.baz", "bar.1.baz", "bar.001.baz",
                 "foo.bar.1.spam.2.baz", "foo.bar.2.spam.1.baz", "bar.1.spam.2.baz",
                 "bar.2.spam.1.baz", "foo.bar.1.baz.baz", "foo..1.baz", "foo.bar.1", "1.bar.1.baz",
                 "foo.bar.99999999999999999999.baz", "foo.bar.-1.baz", "foo.bar1.1.baz"):
        for indices in ([1], [0, 2], 1, []):
            for names in (["bar"], ["foo"], ["baz"], ["foo", "bar"], [], "", None, "bar", ["ba."],
                          [r"\w+"], [r"[^.]*\.spam"]):
                layers(name, ["baz", "spam"], indices, names)
    for indices in (None, [1], [0], [2], [0, 1, 2]):
        layers(q, ["q_proj", "v_proj"], indices, ["h"] if indices else [])
        layers(q + ".foo", ["q_proj"], indices, [])
        layers(q, [q], indices, [])
    layers(q, [], None, [])
    for name in ("blocks.1.weight", "blocks.1.bias", "mlp.blocks.1.weight", "mlp.blocks.1.bias"):
        layers(name, ["weight"], [1], ["blocks"])
    for name in (nested, nested.removeprefix("model."), experts):
        for index in (0, 1, 7):
            for names in (["layers"], [r"\d+\.layers"], ["^model.layers"], [r"layers\.\d+\.layers"],
                          [r".*layers"], None):
                layers(name, ["up_proj", "w1"], [index], names)

    # Exclusions.
    for excluded in (["q_proj"], [q], ["h"], "transformer.*", ".*k_proj", "transformer", [], "", None):
        add(q, target_modules=["q_proj"], exclude_modules=excluded)
        add(q, target_modules=".*", exclude_modules=excluded)
    for saved in (["classifier"], ["dense"], ["out_proj"], ["class"], ["c.assifier"], ["(a|dense)"],
                  ["dense|other"], ["other|dense"], ["classifier.dense"], ["er"], [], None):
        for name in ("classifier.dense", "classifier", "pre_classifier", "x.classifier.dense",
                     "dense", "other", "xdense", "cdassifier.dense"):
            add(name, target_modules=["dense", "classifier", "pre_classifier", "other"],
                modules_to_save=saved)
    write_json("targets.json", rows)


def pattern_keys():
    rows = []
    names = ["foo", "bar", "module.foo", "module.foobar", "module.module.foo",
             "module.module.barfoo", "fooo", "foo.bar"]
    for keys in ([], ["foo"], ["^foo"], ["module.foo"], ["^module.foo"], ["module.module.foo"],
                 ["foo", "^foo"], ["^foo", "foo"], ["bla", "oof"], ["^foo", "^module.foo"], ["foo$"],
                 [".*foo"], ["m.*foo"], ["^.*o$", "foo"], ["foo|bar"], [r"^module\.foo"], ["(foo)"]):
        for name in names:
            key = get_pattern_key(keys, name)
            rows.append({"keys": keys, "name": name,
                         "first": keys.index(key) if key in keys else -1})
    write_json("pattern_keys.json", rows)


def selections():
    rows = []
    small = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 11,
             "intermediate_size": 12, "max_position_embeddings": 16}
    bert = transformers.BertConfig(**small, num_labels=3)
    roberta = transformers.RobertaConfig(**small, num_labels=3)
    distilbert = transformers.DistilBertConfig(dim=8, n_layers=2, n_heads=2, hidden_dim=12,
                                               vocab_size=11)
    gpt2 = transformers.GPT2Config(n_embd=8, n_layer=2, n_head=2, vocab_size=11, n_positions=16)

    def kind(module):
        if isinstance(module, (torch.nn.Linear, Conv1D)):
            return "linear"
        is_layer = isinstance(module, (torch.nn.Embedding, torch.nn.Conv1d, torch.nn.Conv2d))
        return "other_layer" if is_layer else "no_layer"

    def output_layer(model, task):
        embedding = model.get_output_embeddings()
        if embedding is not None:
            return next(n for n, m in model.named_modules() if m is embedding)
        heads = [h for h in ("score", "classifier") if hasattr(model, h)]
        return heads[0] if task == "SEQ_CLS" and heads else ""

    def add(model, **settings):
        torch.manual_seed(0)
        modules = [[n, kind(m)] for n, m in model.named_modules() if n]
        row = {"model": type(model).__name__, "modules": modules, "settings": settings,
               "output_layer": output_layer(model, settings.get("task_type"))}
        try:
            adapted = get_peft_model(model, LoraConfig(**copy.deepcopy(settings)))
        except (ValueError, TypeError) as error:
            row["error"] = type(error).__name__
            rows.append(row)
            return
        named = [(n.removeprefix("base_model.model."), m) for n, m in adapted.named_modules()]
        row["adapted"] = [n for n, m in named if isinstance(m, BaseTunerLayer)]
        row["saved"] = [n for n, m in named if isinstance(m, ModulesToSaveWrapper)]
        rows.append(row)

    def sequence(**settings):
        add(transformers.BertForSequenceClassification(bert), task_type="SEQ_CLS", **settings)

    sequence(target_modules=["query", "value"])
    sequence(target_modules="all-linear")
    sequence(target_modules="All-Linear", exclude_modules=["pooler.dense"])
    sequence(target_modules=["dense"])
    sequence(target_modules=["dense", "classifier"])
    sequence(target_modules=["query"], layers_to_transform=[1], layers_pattern="layer")
    sequence(target_modules=r".*layer\.0\..*(query|key)")
    sequence(target_modules=["query"], modules_to_save=["pooler"])
    sequence(target_modules=["word_embeddings", "query"])
    sequence(target_modules=["nothing"])
    sequence(target_modules=["LayerNorm"])
    sequence(target_modules=["query"], exclude_modules=["query"])
    add(transformers.RobertaForSequenceClassification(roberta), task_type="SEQ_CLS",
        target_modules="all-linear")
    add(transformers.BertForTokenClassification(bert), task_type="TOKEN_CLS",
        target_modules=["query", "value"])
    add(transformers.BertForQuestionAnswering(bert), task_type="QUESTION_ANS",
        target_modules=["query"])
    add(transformers.DistilBertForSequenceClassification(distilbert), task_type="SEQ_CLS",
        target_modules=["q_lin", "v_lin"])
    add(transformers.DistilBertForSequenceClassification(distilbert), task_type="SEQ_CLS",
        target_modules=["q_lin", "pre_classifier"])
    add(transformers.GPT2LMHeadModel(gpt2), task_type="CAUSAL_LM", target_modules="all-linear")
    add(transformers.GPT2LMHeadModel(gpt2), task_type="CAUSAL_LM", target_modules=["c_attn"],
        layers_to_transform=0)
    add(transformers.BertModel(bert), target_modules="all-linear")
    write_json("selections.json", rows)


def default_targets():
    targets = peft.utils.TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING
    write_json("default_targets.json", sorted(targets.items()))


# ---- Adapters ----


class Encoder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.wide = torch.nn.Linear(12, 8)
        self.narrow = torch.nn.Linear(8, 6, bias=False)

    def forward(self, x):
        return torch.relu(self.narrow(torch.relu(self.wide(x))))


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = Encoder()
        self.classifier = torch.nn.Linear(6, 3)

    def forward(self, x):
        return self.classifier(self.encoder(x))


def base_net():
    torch.manual_seed(7)
    return Net().eval()


def adapters():
    shutil.rmtree(OUT / "adapters", ignore_errors=True)
    x = torch.randn(5, 12, generator=torch.Generator().manual_seed(8))
    both = {"r": 2, "lora_alpha": 6, "target_modules": ["wide", "narrow"]}
    cases = {
        "plain": both,
        "rslora": {**both, "r": 4, "use_rslora": True},
        "patterns": {**both, "rank_pattern": {"narrow": 3}, "alpha_pattern": {"^encoder.wide": 5}},
        "lora_only": {**both, "bias": "lora_only"},
        "all_biases": {**both, "target_modules": ["wide"], "bias": "all",
                       "modules_to_save": ["classifier"]},
        "modules_to_save": {**both, "modules_to_save": ["classifier"]},
        "gaussian_dropout": {**both, "init_lora_weights": "gaussian", "lora_dropout": 0.25},
        "pattern_targets": {**both, "target_modules": r"encoder\.(wide|narrow)"},
        "float16": both,
        "bfloat16": both,
        "float64": both,
    }
    outputs = {"x": x, "base": base_net()(x)}
    for name, settings in cases.items():
        dtype = getattr(torch, name, torch.float32)
        model = get_peft_model(base_net().to(dtype), LoraConfig(**settings),
                               autocast_adapter_dtype=False)
        torch.manual_seed(9)
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.data += torch.randn(parameter.shape).to(parameter.dtype) / 4
        directory = OUT / "adapters" / name
        model.save_pretrained(directory)
        (directory / "README.md").unlink()
        outputs[name] = PeftModel.from_pretrained(base_net(), directory).eval()(x)
    outputs = {key: value.detach().contiguous() for key, value in outputs.items()}
    safetensors.torch.save_file(outputs, OUT / "adapters" / "outputs.safetensors")
    safetensors.torch.save_file(base_net().state_dict(), OUT / "adapters" / "base.safetensors")


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    tensors()
    targets()
    pattern_keys()
    selections()
    default_targets()
    adapters()
    (OUT / "VERSIONS.txt").write_text(
        f"Python {platform.python_version()}\nPyTorch {torch.__version__}\npeft {peft.__version__}\n"
        f"safetensors {safetensors.__version__}\ntransformers {transformers.__version__}\n"
        f"numpy {numpy.__version__}\n")
