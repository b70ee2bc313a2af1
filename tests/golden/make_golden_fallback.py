"""Makes tokenizer/fallback.json: small tokenizers of Llama 2's kind, texts, and their ids.

    python make_golden_fallback.py

Ids and decoded texts of tokenizer.json are those of tokenizers 0.23.3; those of the vocabulary with
scores are llama.cpp's (xllamacpp 2026.10.11549), from a GGUF of that vocabulary.
"""

import json
import pathlib
import random
import tempfile
import urllib.request

import gguf
import numpy
import tokenizers
import xllamacpp
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

HERE = pathlib.Path(__file__).parent
MARK = "\u2581"
SENTENCES = [
    "The quick brown fox jumps over the lazy dog, and then it does so again.",
    "Low-rank adaptation freezes the weights of a model and trains two small factors.",
    "Die Würde des Menschen ist unantastbar. Größe, Straße, Übermut.",
    "Il était une fois une petite fille de village, la plus jolie qu'on eût su voir.",
    "Всё счастливые семьи похожи друг на друга.",
    "吾輩は猫である。名前はまだ無い。",
    "def f(x):\n    return x + 1  # the next\n",
    "1234567890 3.14159 1e-6 0x7f",
]
ALPHABET = "abcdefghijklmnopqrstuvwxyzTDI .,:-'éüß" + "асвеио" + "は猫名"
STRANGE = "\u00e9\u4e2d\U0001f600\u0000\u0007\t\n\ufffd\u2581\u0915\u094d\u05d0\u200d"


def tokenizer():
    special = ["<unk>", "<s>", "</s>"]
    made = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    made.normalizer = normalizers.Sequence([normalizers.Prepend(MARK), normalizers.Replace(" ", MARK)])
    trainer = trainers.BpeTrainer(
        vocab_size=620, special_tokens=special + [f"<0x{b:02X}>" for b in range(256)],
        limit_alphabet=90, show_progress=False, max_token_length=12)
    made.train_from_iterator(SENTENCES * 4, trainer)
    as_json = json.loads(made.to_str())
    as_json["added_tokens"] = [t for t in as_json["added_tokens"] if t["content"] in special]
    made = Tokenizer.from_str(json.dumps(as_json))
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)])
    made.decoder = decoders.Sequence(
        [decoders.Replace(MARK, " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    return made


def texts():
    draw = random.Random(3)
    made = ["", " ", "  a", "a", "hello world", " hello", "hello ", "a\u2581b", "日本\U0001f600"]
    for _ in range(280):
        length = draw.randrange(1, 24)
        words = "".join(draw.choice(ALPHABET if draw.random() < 0.85 else STRANGE) for _ in range(length))
        start = draw.choice(SENTENCES)
        at = draw.randrange(len(start))
        made.append(draw.choice([words, start[at:at + 20], words + start[at:at + 9]]))
    return made


def runs(made, size):
    """Ids to decode, runs of bytes among them that are no UTF-8."""
    draw = random.Random(4)
    lists = [[3 + 0xE6, 3 + 0x97, 3 + 0xA5, 3 + 0xE6], [3 + 0xFF, 3 + 0x41]]
    for _ in range(60):
        lists.append([draw.randrange(size) if draw.random() < 0.6 else 3 + draw.randrange(256)
                      for _ in range(draw.randrange(1, 10))])
    return [[ids, made.decode(ids)] for ids in lists]


def llama_cpp(vocabulary, scores, strings):
    types = [2, 3, 3] + [6] * 256 + [1] * (len(vocabulary) - 259)
    with tempfile.TemporaryDirectory() as folder:
        path = folder + "/v.gguf"
        writer = gguf.GGUFWriter(path, "llama")
        for add, value in ((writer.add_context_length, 64), (writer.add_embedding_length, 32),
                           (writer.add_block_count, 1), (writer.add_feed_forward_length, 32),
                           (writer.add_head_count, 2), (writer.add_layer_norm_rms_eps, 1e-5)):
            add(value)
        writer.add_tokenizer_model("llama")
        writer.add_token_list(vocabulary)
        writer.add_token_scores(scores)
        writer.add_token_types(types)
        writer.add_bos_token_id(1)
        writer.add_eos_token_id(2)
        writer.add_unk_token_id(0)
        tensor = lambda *shape: numpy.zeros(shape, numpy.float32)
        writer.add_tensor("token_embd.weight", tensor(len(vocabulary), 32))
        writer.add_tensor("output_norm.weight", tensor(32))
        for name in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.0.{name}.weight", tensor(32))
        for name in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"):
            writer.add_tensor(f"blk.0.{name}.weight", tensor(32, 32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        params = xllamacpp.CommonParams()
        params.model.path = path
        params.n_ctx = 64
        params.warmup = False
        server = xllamacpp.Server(params)
        address = str(server.listening_address)
        address = address if address.startswith("http") else "http://" + address
        found = []
        for text in strings:
            body = json.dumps({"content": text, "add_special": False, "parse_special": False})
            request = urllib.request.Request(address + "/tokenize", body.encode(),
                                             {"Content-Type": "application/json"})
            found.append(json.loads(urllib.request.urlopen(request, timeout=60).read())["tokens"])
    return found


def main():
    made = tokenizer()
    strings = texts()
    prepended = json.loads(made.to_str())
    first = Tokenizer.from_str(made.to_str())
    first.normalizer = None
    as_json = json.loads(first.to_str())
    as_json["normalizer"] = None
    as_json["pre_tokenizer"] = {"type": "Metaspace", "replacement": MARK, "prepend_scheme": "first",
                                "split": False}
    first = Tokenizer.from_str(json.dumps(as_json))
    size = made.get_vocab_size()
    vocabulary = [made.id_to_token(i) for i in range(size)]
    merged = {"".join(m): i for i, m in reversed(list(enumerate(prepended["model"]["merges"])))}
    scores = [-float(merged.get(t, 10000 + i)) if i > 258 else 0.0 for i, t in enumerate(vocabulary)]
    # llama.cpp's server drops what follows a zero byte.
    plain = [t for t in strings if "\0" not in t]
    golden = {
        "tokenizer": prepended,
        "texts": strings,
        "ids": [made.encode(t).ids for t in strings],
        "special": [[t, made.encode(t, add_special_tokens=False).ids]
                    for t in ("hello</s>hello", "<s>a", "a <unk> b")],
        "first": [first.encode(t, add_special_tokens=False).ids for t in strings],
        "decoded": runs(made, size),
        "scores": scores,
        "llama_texts": plain,
        "llama_ids": llama_cpp(vocabulary, scores, plain),
    }
    target = HERE / "tokenizer" / "fallback.json"
    target.write_text(json.dumps(golden, ensure_ascii=True, separators=(",", ":")) + "\n")
    print(target, target.stat().st_size, "bytes; tokenizers", tokenizers.__version__)


if __name__ == "__main__":
    main()
