"""Writes tokenizer/byte_pair.json: what Hugging Face's tokenizers do with byte-level BPE.

    python tests/golden/make_golden_byte_pair.py

"letters" and "numbers" are ranges of code points; "strings" are drawn from a fixed seed. For each
pattern "pieces" has, for each string, how many characters each piece before the merges has, and
"ids" the tokens. The vocabulary and the merges are trained here.
"""

import json
import pathlib
import random

import tokenizers
from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors,
                        trainers)

from make_golden_tokenizer import WORDS, ask_regex

OUT = pathlib.Path(__file__).parent / "tokenizer/byte_pair.json"
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
PATTERNS = {"smollm": None, "gpt2": GPT2, "llama3": LLAMA3, "qwen2": LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")}
CHARACTERS = list("aZs'trevmldSTRE  \t\n\r.,!123Ⅷ½日é\u0301\u00a0\u2009\u200bſ😀\u0085२४\u3000ᾼß_\"\x00\U000e0001")


def splitter(name):
    if name == "smollm":
        return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    if name == "gpt2":
        return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(PATTERNS[name]), "isolated"),
                                    pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def ranges(codes):
    merged = []
    for c in sorted(codes):
        if merged and merged[-1][1] == c - 1:
            merged[-1][1] = c
        else:
            merged.append([c, c])
    return merged


def strings():
    rng = random.Random(20240607)
    result = ["", " ", "  ", "\n", "\r\n", "it's", "IT'S", "it'ſ", "'ſa", "'Reed", "I'LL  we've\tdon't", " \n\n  x", "a   b",
              "x\r\n\r\n y", "1234567", " 12 345", "e\u0301a", "!!\n\n", "x\u0085y", "\u200bhi", "a" * 300, " " * 300,
              "\n " * 100, "日本語" * 20, "'" * 50, "'s" * 30]
    for _ in range(700):
        result.append("".join(rng.choice(CHARACTERS) for _ in range(rng.randint(1, 12))))
    for _ in range(200):
        result.append("".join(rng.choice(WORDS) + rng.choice([" ", " ", " ", "  ", "\n", ", ", "'s ", ".\n\n", "12 ", "", "\t"])
                              for _ in range(rng.randint(1, 12))))
    for _ in range(300):
        code = lambda: rng.choice([rng.randint(1, 0x2FF), rng.randint(0x300, 0x2FFF), rng.randint(0x3000, 0xD7FF),
                                   rng.randint(0x10000, 0x1FFFF)])
        result.append("".join(chr(code()) for _ in range(rng.randint(1, 6))))
    return result


def compositions():
    """Texts and their NFC: each code point that it changes, and random marks behind letters."""
    nfc, nfd = normalizers.NFC().normalize_str, normalizers.NFD().normalize_str
    changed = [chr(c) for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF and nfc(chr(c)) != chr(c)]
    rng = random.Random(1)
    marks = [chr(c) for c in range(0x300, 0x370)] + list("\u093c\u09be\u09d7\u1161\u11a8\u3099\u309a\u05b4\u0f71\u11930")
    letters = [nfd(chr(rng.randint(0xC0, 0x24F)))[0] for _ in range(60)] + list("ᄀ가각かカहোেঅͅαΩ한")
    drawn = ["".join(rng.choice(letters) + "".join(rng.choice(marks) for _ in range(rng.randint(0, 4)))
                     for _ in range(rng.randint(1, 3))) for _ in range(1500)]
    return [[text, nfc(text)] for text in changed + drawn]


def with_added(name, model, merges):
    tokenizer = Tokenizer(models.BPE(model["vocab"], merges, ignore_merges=name == "llama3"))
    tokenizer.pre_tokenizer = splitter(name)
    tokenizer.decoder = decoders.ByteLevel()
    if name == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.add_special_tokens(["<|begin|>", AddedToken("<|end|>", rstrip=True, special=True)])
    tokenizer.add_tokens(["foo", AddedToken("é日", normalized=True), AddedToken("ba r", lstrip=True, single_word=True)])
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    if name == "llama3":
        begin = tokenizer.token_to_id("<|begin|>")
        tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), processors.TemplateProcessing(
            single="<|begin|> $A", pair="<|begin|> $A <|begin|> $B:1", special_tokens=[("<|begin|>", begin)])])
    return tokenizer


def added_texts(texts):
    rng = random.Random(2)
    parts = ["<|begin|>", "<|end|>  ", "foo", "e\u0301日", "é日", " ba r ", "xba r", "Foo", "e\u0301", " x", "<|", "\n"]
    return ["".join(rng.choice(parts) for _ in range(rng.randint(1, 8))) for _ in range(200)] + texts[:60]


def main():
    texts = strings()
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = splitter("llama3")
    trainer = trainers.BpeTrainer(vocab_size=700, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator(texts + WORDS * 3, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    # A token that no merge makes is found with ignore_merges alone.
    model["vocab"]["Ġinternational"] = len(model["vocab"])
    texts += ["international international", " international"]
    result = {"versions": {"tokenizers": tokenizers.__version__}, "letters": ranges(ask_regex(r"\p{L}")),
              "numbers": ranges(ask_regex(r"\p{N}")), "vocab": model["vocab"], "merges": model["merges"],
              "strings": texts, "pieces": {}, "ids": {}}
    merges = [tuple(pair) for pair in model["merges"]]
    for name in PATTERNS:
        tokenizer = Tokenizer(models.BPE(model["vocab"], merges))
        tokenizer.pre_tokenizer = splitter(name)
        # The offsets of ByteLevel count characters.
        result["pieces"][name] = [[end - begin for _, (begin, end) in tokenizer.pre_tokenizer.pre_tokenize_str(text)]
                                  for text in texts]
        result["ids"][name] = [tokenizer.encode(text).ids for text in texts]
        for text, pieces in zip(texts, result["pieces"][name]):
            assert sum(pieces) == len(text)
    tokenizer = Tokenizer(models.BPE(model["vocab"], merges, ignore_merges=True))
    tokenizer.pre_tokenizer = splitter("llama3")
    result["ids"]["llama3, ignore_merges"] = [tokenizer.encode(text).ids for text in texts]
    result["compositions"] = compositions()
    texts = added_texts(texts)
    result["added"] = {"strings": texts, "tokenizers": {}, "ids": {}, "as text": {}, "pairs": {}, "decoded": {}}
    for name in PATTERNS:
        tokenizer = with_added(name, model, merges)
        result["added"]["tokenizers"][name] = json.loads(tokenizer.to_str()) | {"model": None}
        ids = [tokenizer.encode(text).ids for text in texts]
        result["added"]["ids"][name] = ids
        result["added"]["pairs"][name] = [tokenizer.encode(a, b).ids for a, b in zip(texts, texts[1:])]
        # Also from the middle of a character.
        result["added"]["decoded"][name] = [[tokenizer.decode(i[k:]) for k in (0, 1)] +
                                            [tokenizer.decode(i, skip_special_tokens=False)] for i in ids]
        tokenizer.encode_special_tokens = True
        result["added"]["as text"][name] = [tokenizer.encode(text).ids for text in texts]
    lines = ",\n".join(json.dumps(key) + ": " + json.dumps(value, ensure_ascii=False, separators=(",", ":"))
                       for key, value in result.items())
    OUT.write_text("{" + lines + "}\n")


if __name__ == "__main__":
    main()
