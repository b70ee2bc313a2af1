"""Writes tokenizer/folders.json: folders of tokenizers and what transformers' AutoTokenizer makes of them.

    python tests/golden/make_golden_tokenizer_folders.py

An entry is {"name", "files": {name: content}, "ids": [[text, ids], ...]}; the versions stand in
"versions".
"""

import copy
import json
import os
import pathlib
import tempfile

os.environ["TRANSFORMERS_VERBOSITY"] = "error"

import tokenizers
import transformers
from transformers import AutoTokenizer

GOLDEN = pathlib.Path(__file__).parent
CASE = GOLDEN / "cases/lower-case-conflict/json-cased-config-lower"
JSON = json.loads((CASE / "tokenizer.json").read_text())
VOCAB = (CASE / "vocab.txt").read_text() + "é\n中\n中文\nhéllo\n[E1]\n[/E1]\n"
JSON["model"]["vocab"] = {token: i for i, token in enumerate(VOCAB.split())}
BERT = {"model_type": "bert"}
TEXTS = ["Hello World", "Héllo WORLD", "hello xyz [MASK]", "hello[E1]world[/E1] e1", "中文 hello中world",
         "hello <s> a <new> <other>b", "hello  [mask] a", "e1 E1", "", " \t", "a\x01b [ E1 ]"]


def changed(**normalizer):
    result = copy.deepcopy(JSON)
    result["normalizer"].update(normalizer)
    return result


def token(content, **flags):
    return {"content": content, "lstrip": False, "rstrip": False, "single_word": False, "normalized": False,
            "special": True} | flags


DECODER = {str(i): token(t) for i, t in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])}

FOLDERS = {}


def folder(name, **files):
    """Files are given as config=, json=, map=, vocab=, added=, model= (config.json)."""
    names = {"config": "tokenizer_config.json", "json": "tokenizer.json", "map": "special_tokens_map.json",
             "vocab": "vocab.txt", "added": "added_tokens.json", "model": "config.json"}
    files.setdefault("model", BERT)
    FOLDERS[name] = {names[k]: v if isinstance(v, str) else json.dumps(v, ensure_ascii=False)
                     for k, v in files.items() if v is not None}


# tokenizer.json and tokenizer_config.json
for lower in (True, False):
    folder(f"json {not lower}, config {lower}", json=changed(lowercase=not lower),
           config={"do_lower_case": lower, "tokenizer_class": "BertTokenizer"})
    for accents in (True, False, None):
        folder(f"lower {lower}, accents {accents}", json=changed(strip_accents=not accents),
               config={"do_lower_case": lower, "strip_accents": accents})
        folder(f"lower {lower}, accents {accents}, vocab.txt", vocab=VOCAB,
               config={"do_lower_case": lower, "strip_accents": accents})
    folder(f"Chinese characters {lower}", json=changed(handle_chinese_chars=not lower),
           config={"tokenize_chinese_chars": lower})
folder("json cased, config silent", json=changed(lowercase=False), config={})
folder("json cased, no config", json=changed(lowercase=False))
folder("json cased, class in config.json", json=changed(lowercase=False), model=BERT | {"tokenizer_class": "BertTokenizer"})
folder("json cased, accents kept, config silent", json=changed(lowercase=False, strip_accents=True), config={})
for name in ("BertTokenizerFast", "DistilBertTokenizer", "ElectraTokenizerFast", "MobileBertTokenizer",
             "PreTrainedTokenizerFast", "TokenizersBackend", "ConvBertTokenizer"):
    folder(f"json cased, {name}", json=changed(lowercase=False), config={"tokenizer_class": name, "do_lower_case": True})
folder("json cased, no class at all", json=changed(lowercase=False), config={"do_lower_case": True}, model=None)
folder("json cased, a class and no model", json=changed(lowercase=False), config={"tokenizer_class": "BertTokenizer"}, model=None)
folder("json unclean, PreTrainedTokenizerFast", json=changed(clean_text=False), config={"tokenizer_class": "PreTrainedTokenizerFast"})

# special_tokens_map.json
UNK_A = {"unk_token": "a"}
folder("map before config", vocab=VOCAB, config={"unk_token": "b"}, map=UNK_A)
folder("map behind the decoder", vocab=VOCAB, config={"unk_token": "b", "added_tokens_decoder": DECODER}, map=UNK_A)
folder("map with flags", vocab=VOCAB, config={}, map={"mask_token": token("[MASK]", lstrip=True)})
folder("map with a normalized mask", vocab=VOCAB, config={}, map={"mask_token": token("[MASK]", normalized=True)})
folder("map without config", vocab=VOCAB, map=UNK_A)
folder("map beside a json", json=JSON, config={}, map={"unk_token": "[UNK]", "sep_token": token("[SEP]")})
folder("a mask of another name", vocab=VOCAB, config={"mask_token": "[E1]"})
folder("flags of the decoder", vocab=VOCAB, config={"added_tokens_decoder": DECODER | {"4": token("[MASK]", lstrip=True, normalized=True)}})

# more special tokens
folder("additional, config", vocab=VOCAB, config={"additional_special_tokens": ["[E1]", "[/E1]"]})
folder("additional, map", vocab=VOCAB, config={}, map={"additional_special_tokens": ["[E1]", "[/E1]"]})
folder("additional, new", vocab=VOCAB, config={"additional_special_tokens": ["<new>", "[E1]", "<other>"]})
folder("extra, config", vocab=VOCAB, config={"extra_special_tokens": ["[E1]"]})
folder("extra, named", vocab=VOCAB, config={"extra_special_tokens": {"entity_token": "[E1]"}})
folder("extra, a json", json=JSON, config={"extra_special_tokens": ["[E1]", "<new>"]})
folder("bos and another", vocab=VOCAB, config={"bos_token": "<s>", "entity_token": "[E1]"})
folder("added_tokens.json", vocab=VOCAB, config={}, added={"<new>": 26, "Other": 27, "[E1]": 24})
folder("added_tokens.json, special", vocab=VOCAB, config={"additional_special_tokens": ["<new>"]}, added={"<new>": 26, "<other>": 27})

# vocab.txt as it may have been edited
folder("a token twice", vocab=VOCAB + "hello\n", config={})
folder("no line feed at the end", vocab=VOCAB.rstrip("\n"), config={})
folder("carriage returns", vocab=VOCAB.replace("\n", "\r\n"), config={})
folder("two carriage returns", vocab=VOCAB.replace("\n", "\r\r\n"), config={})
folder("space at the end of lines", vocab=VOCAB.replace("hello\n", "hello \u00a0\t\n"), config={})
folder("an empty line", vocab=VOCAB.replace("world\n", "\nworld\n"), config={})


def main():
    entries = []
    for name, files in FOLDERS.items():
        with tempfile.TemporaryDirectory() as directory:
            for file, content in files.items():
                (pathlib.Path(directory) / file).write_bytes(content.encode())
            tokenizer = AutoTokenizer.from_pretrained(directory)
            ids = [[text, tokenizer(text)["input_ids"]] for text in TEXTS]
        entries.append({"name": name, "files": files, "ids": ids})
    versions = {"transformers": transformers.__version__, "tokenizers": tokenizers.__version__}
    text = json.dumps({"versions": versions, "folders": "@"}, ensure_ascii=False)
    lines = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries)
    (GOLDEN / "tokenizer/folders.json").write_text(text.replace('"@"', "[\n" + lines + "\n]") + "\n")


main()
