#!/usr/bin/env python3
"""Runs a task in C++ and again in Python, on PyTorch, transformers and PEFT, and compares.

    compare_with_peft.py --program build/demo/examples/bert_sentiment/bert_sentiment \\
        --model all-MiniLM-L6-v2 --data sentiment_sentences --seeds 1,2,3 --threads 2

Both sides have the same texts, batches, first A and B and head, hyper-parameters and number of
threads; dropout is off, for its random numbers cannot be the same. They run in turn, each in a
process of its own. Checked are: that transformers' tokenizer gives the same ids; that the losses of
the first 20 steps agree to 1e-3 of the loss; and that the mean of the final scores differs by at
most a point. Speed and memory are shown, not checked.

Needs torch, transformers, peft (see requirements.txt).
"""

import argparse
import json
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

STEPS = 20
LOSS_AGREEMENT = 1e-3
SCORE_AGREEMENT = 1.0


def peak_kib():
    """Returns the most memory that this process had."""
    for line in pathlib.Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


# ---- The Python side ----


def entities(tags):
    """Returns (type, begin, end) of each entity, as conlleval finds them."""
    found, kind_before = [], None
    for i, tag in enumerate(tags):
        mark, _, kind = tag.partition("-")
        if mark == "O":
            kind_before = None
            continue
        if mark == "I" and kind == kind_before:
            found[-1][2] = i + 1
        else:
            found.append([kind, i, i + 1])
        kind_before = kind
    return {tuple(entity) for entity in found}


def entity_f1(actual, predicted):
    correct = total = 0
    for truth, guess in zip(actual, predicted):
        truth, guess = entities(truth), entities(guess)
        correct += len(truth & guess)
        total += len(truth) + len(guess)
    return 100 * 2 * correct / total if total else 0.0


def run_python(record, model_folder, threads):
    """Does again what `record` says, and returns what a record says of it."""
    import warnings
    warnings.filterwarnings("ignore")
    import torch
    import transformers
    from peft import PeftModel

    torch.set_num_threads(threads)
    torch.manual_seed(record["options"]["seed"])
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    folder = pathlib.Path(record["folder"])
    options = record["options"]
    tokens_are_classified = record["task"] == "TOKEN_CLS"
    kind = (transformers.BertForTokenClassification if tokens_are_classified
            else transformers.BertForSequenceClassification)
    base = kind.from_pretrained(
        model_folder, num_labels=len(record["classes"]), hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0, classifier_dropout=0.0)
    model = PeftModel.from_pretrained(base, folder / "first", is_trainable=True)
    tokenizer = transformers.AutoTokenizer.from_pretrained(model_folder)

    for part in ("train_texts", "validation_texts", "test_texts"):
        for text in record[part]:
            words = text["words"] if tokens_are_classified else text["words"][0]
            ids = tokenizer(words, is_split_into_words=tokens_are_classified, truncation=True,
                            max_length=options["max_length"])["input_ids"]
            if ids != text["ids"]:
                raise SystemExit(f"the tokenizers differ: {words!r}: {ids}, {text['ids']}")

    def tensors(texts):
        longest = max(len(text["ids"]) for text in texts)
        pad = lambda numbers, filler: numbers + [filler] * (longest - len(numbers))
        labels = ([pad(text["labels"], -100) for text in texts] if tokens_are_classified
                  else [text["labels"][0] for text in texts])
        return {"input_ids": torch.tensor([pad(text["ids"], 0) for text in texts]),
                "attention_mask": torch.tensor([pad([1] * len(text["ids"]), 0) for text in texts]),
                "labels": torch.tensor(labels)}

    def score(texts):
        model.eval()
        order = sorted(range(len(texts)), key=lambda i: -len(texts[i]["ids"]))
        answers = [None] * len(texts)
        with torch.inference_mode():
            for begin in range(0, len(order), options["batch"]):
                some = order[begin:begin + options["batch"]]
                logits = model(**tensors([texts[i] for i in some])).logits.argmax(-1).tolist()
                for i, answer in zip(some, logits):
                    answers[i] = answer
        model.train()
        if not tokens_are_classified:
            return 100 * statistics.fmean(a == text["labels"][0]
                                          for a, text in zip(answers, texts))
        # A word has its first token's answer, and O where it has no token.
        predicted = []
        for text, answer in zip(texts, answers):
            words = tokenizer(text["words"], is_split_into_words=True, truncation=True,
                              max_length=options["max_length"]).word_ids()
            tags = ["O"] * len(text["words"])
            for position in reversed(range(len(words))):
                if words[position] is not None:
                    tags[words[position]] = record["classes"][answer[position]]
            predicted.append(tags)
        return entity_f1([text["tags"] for text in texts], predicted)

    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=options["learning_rate"],
                                  weight_decay=options["weight_decay"])
    per_epoch = -(-len(record["train_texts"]) // options["batch"])
    total = per_epoch * options["epochs"]
    warmup = -int(-options["warmup"] * total // 1)
    schedule = transformers.get_linear_schedule_with_warmup(optimizer, warmup, total)
    result = {"losses": [], "validation": []}
    best, best_values, seconds, tokens = -1.0, None, 0.0, 0
    model.train()
    for number, batch in enumerate(record["batches"], 1):
        begin = time.perf_counter()
        inputs = tensors([record["train_texts"][i] for i in batch])
        loss = model(**inputs).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        result["losses"].append(loss.item())
        seconds += time.perf_counter() - begin
        tokens += int(inputs["attention_mask"].sum())
        if number % per_epoch == 0:
            result["validation"].append(score(record["validation_texts"]))
            if result["validation"][-1] > best:
                best = result["validation"][-1]
                best_values = [p.detach().clone() for p in trained]
    with torch.no_grad():
        for parameter, value in zip(trained, best_values):
            parameter.copy_(value)
    result["test"] = score(record["test_texts"])
    result["tokens_per_second"] = tokens / seconds
    result["peak_kib"] = peak_kib()
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    import peft
    return result | {"versions": versions | {"peft": peft.__version__}}


# ---- Both ----


def table(rows):
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = ["  ".join(cell.ljust(width) if i == 0 else cell.rjust(width)
                       for i, (cell, width) in enumerate(zip(row, widths))) for row in rows]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def compare(ours, theirs):
    """Returns the largest difference of the first losses, over the loss."""
    pairs = list(zip(ours["losses"], theirs["losses"]))[:STEPS]
    return max(abs(a - b) / abs(b) for a, b in pairs)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", type=pathlib.Path, help="bert_sentiment or bert_ner")
    parser.add_argument("--model", required=True, help="a BERT model's folder")
    parser.add_argument("--data", help="as the program's --data")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--option", action="append", default=[], metavar="NAME=VALUE",
                        help="another option of the program, as in rank=16")
    parser.add_argument("--python-side", type=pathlib.Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()

    if arguments.python_side:
        file = arguments.python_side / "record.json"
        record = json.loads(file.read_text(encoding="utf-8"))
        record["folder"] = str(arguments.python_side)
        result = run_python(record, arguments.model, arguments.threads)
        (arguments.python_side / "python.json").write_text(json.dumps(result), encoding="utf-8")
        return

    rows = [("seed, side", "loss 1", "loss 20", "differ by", "validation", "test", "tokens/s",
             "peak MiB")]
    ours_all, theirs_all, differences = [], [], []
    with tempfile.TemporaryDirectory() as temporary:
        for seed in arguments.seeds.split(","):
            folder = pathlib.Path(temporary) / seed
            # One after the other, so that whatever else the machine does falls on both.
            subprocess.run(
                [arguments.program, "--model", arguments.model, "--data", arguments.data,
                 "--seed", seed, "--threads", str(arguments.threads),
                 "--epochs", str(arguments.epochs), "--patience", str(arguments.epochs),
                 "--dropout", "0", "--base-dropout", "0", "--record", folder,
                 "--out", folder / "out", *(f"--{option}" for option in arguments.option)],
                check=True, stdout=subprocess.DEVNULL)
            ours = json.loads((folder / "record.json").read_text(encoding="utf-8"))
            subprocess.run(
                [sys.executable, __file__, "--python-side", folder, "--model", arguments.model,
                 "--threads", str(arguments.threads)], check=True)
            theirs = json.loads((folder / "python.json").read_text(encoding="utf-8"))
            difference = compare(ours, theirs)
            differences.append(difference)
            ours_all.append(ours)
            theirs_all.append(theirs)
            for name, side in (("C++", ours), ("PEFT", theirs)):
                last = min(STEPS, len(side["losses"])) - 1
                rows.append((
                    f"{seed}, {name}", f"{side['losses'][0]:.6f}", f"{side['losses'][last]:.6f}",
                    f"{difference:.1e}" if name == "PEFT" else "", f"{max(side['validation']):.2f}",
                    f"{side['test']:.2f}", f"{side['tokens_per_second']:,.0f}",
                    f"{side['peak_kib'] / 1024:,.0f}"))

    mean = lambda sides, key: statistics.fmean(side[key] for side in sides)
    ratio = lambda key: mean(ours_all, key) / mean(theirs_all, key)
    print(table(rows))
    versions = ", ".join(f"{name} {version}" for name, version in theirs_all[0]["versions"].items())
    points = mean(ours_all, "test") - mean(theirs_all, "test")
    print(f"\n{versions}; threads: {arguments.threads}, epochs: {arguments.epochs}")
    print(f"mean test score: {points:+.2f} points from PEFT's; "
          f"{ratio('tokens_per_second'):.2f} times its tokens/s, {ratio('peak_kib'):.2f} times its "
          "peak memory")
    good = max(differences) <= LOSS_AGREEMENT and abs(points) <= SCORE_AGREEMENT
    if not good:
        print(f"expected: losses of the first {STEPS} steps within {LOSS_AGREEMENT:g}, and "
              f"scores within {SCORE_AGREEMENT:g} point", file=sys.stderr)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
