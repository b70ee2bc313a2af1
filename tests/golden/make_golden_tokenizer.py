"""Writes the files of tests/golden/tokenizer with Hugging Face's tokenizers and with seqeval.

    python tests/golden/make_golden_tokenizer.py [--minilm DIR]   all files; the real vocabulary's with DIR
    python tests/golden/make_golden_tokenizer.py --tables         the tables of text/unicode_versions.hpp

The vocabulary is made here, the strings are drawn from a fixed seed, and the versions that made the
files stand in tokenizer/VERSIONS.txt. --tables needs unicodedata2 and the shared library of utf8proc;
it asks the tokenizers about every code point and prints where newer Unicode data differ.

golden.json: a checksum is FNV-1a, 32 bits, over the text "id,type,word,begin,end;" of every token,
with offsets in bytes and word -1, offsets 0 for the model's own tokens.
"""

import argparse
import json
import pathlib
import random
import unicodedata
import warnings

import tokenizers
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors

OUT = pathlib.Path(__file__).parent / "tokenizer"
SEED = 20240607

NORMALIZERS = {
    "uncased": {},
    "cased": {"lowercase": False},
    "lowercase, accents": {"strip_accents": False},
    "cased, no accents": {"lowercase": False, "strip_accents": True},
    "unclean": {"clean_text": False},
    "unclean, cased": {"clean_text": False, "lowercase": False},
    "no CJK": {"handle_chinese_chars": False},
}

WORDS = """the of and to in a is that it was for on as with his he be at by had not are but from or
have an they which one you were her all she there would their we him been has when who will more no if
out so said what up its about into than them can only other new some could time these two may then do
first any my now such like our over man me even most made after also did many before must through film
good bad great terrible place service phone food never worked amazing waste money paris london google
naïve café straße ängström señor ÉCOLE Zürich Paris LONDON İstanbul ısı ΣΟΦΟΣ σοφός привет Москва мир
ёлка שלום سلام हिन्दी ไทย しぜん カタカナ がくせい 한국 서울""".split()
SUFFIXES = "s ed ing er est ly ness tion al able ful less ing's es y é ё がく 국 한 ς".split()


def normalize(text, **settings):
    return normalizers.BertNormalizer(**settings).normalize_str(text)


def make_vocabulary():
    tokens = ["[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = list(WORDS)
    for word in WORDS:
        words += [normalize(word), normalize(word, strip_accents=False)]
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    letters += "éèüöäñçßøåÉÜıİiσςΣαβγабвгджёйшאבגسلامक्ि์ไーがカ̧́̈̇̃"
    letters += "".join(map(chr, range(0x1100, 0x1113))) + "".join(map(chr, range(0x1161, 0x1176)))
    letters += "".join(map(chr, range(0x11A8, 0x11B8)))
    for letter in letters:
        words += [letter, "##" + letter]
    words += list("北京大学中文日本語㐀𠀀豈\U0002b920\U0002b820，。！？「」") + list("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
    words += ["😀", "👩", "##👩", "\u200d", "##\u200d", "👩\u200d", "❤", "\ufe0f", "##\ufe0f", "\ufffd", "##\ufffd",
              "\U000f0000", "\u0378", "##\u0378", "\u08d5", "##\u08d5", "\u1ac5", "##\u1ac5", "\u2e52", "\x00", "##\x00",
              "\u00ad", "##\u00ad", "\u0085", "𝒳", "##𝒳", "ﬁ", "##ﬁ", "ﬁn", "a" * 60, "##" + "a" * 40, "##" + "b" * 99]
    words += ["##" + suffix for suffix in SUFFIXES] + ["##" + normalize(s) for s in SUFFIXES]
    words += ["un", "##aff", "##able", "runn", "##ning", "want", "##want"]
    for word in words:
        if word not in tokens:
            tokens.append(word)
    return tokens


def make_tokenizer(vocabulary):
    model = models.WordPiece({t: i for i, t in enumerate(vocabulary)}, unk_token="[UNK]",
                             max_input_chars_per_word=100, continuing_subword_prefix="##")
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ids = {t: tokenizer.token_to_id(t) for t in ("[CLS]", "[SEP]")}
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0", pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=list(ids.items()))
    tokenizer.add_special_tokens([
        AddedToken("[PAD]"), AddedToken("[UNK]"), AddedToken("[CLS]"), AddedToken("[SEP]"),
        AddedToken("[MASK]", lstrip=True)])
    tokenizer.add_tokens([
        AddedToken("<ent>", single_word=True, normalized=False),
        AddedToken("<both>", lstrip=True, rstrip=True, normalized=False),
        AddedToken("<right> ", rstrip=True, normalized=False),
        AddedToken("[MASK]ED", normalized=False),
        AddedToken("Überdachs", normalized=True),
        AddedToken("überdach", normalized=True, single_word=True),
        AddedToken("Seoul 서울", normalized=True, rstrip=True),
        AddedToken("一丁", normalized=True),
    ])
    return tokenizer


HAND_WRITTEN = [
    "", " ", "\t\n\r", "Hello, world!", "unaffable", "UNwanted,running", "\u00a0x\u3000y\u2028z\u2029",
    "Ångström naïve café ÉCOLE señor", "İstanbul ISPARTA ısı iİıI", "ΣΟΦΟΣ ΌΔΟΣ σοφός Σ", "straße STRASSE ẞ",
    "北京大学中文 mixed中文text", "㐀𠀀豈\U0002b920\U0002b820\U0002ceb0", "한국어 서울 각", "\u1112\u1161\u11ab",
    "👩\u200d👩\u200d👧\u200d👦 ❤\ufe0f 🇩🇪 😀😀", "a\u0301\u0327\u0316b \u0301 \u0301\u0301", "e\u0301 é \u1e69 s\u0323\u0307 s\u0307\u0323",
    "\u0344\u0334x \u0f73\u0f71 \u0340\u0341\u0343", "nul\x00in\x00side", "\ufffd\ufffdx\ufffd", "\ue000\U000f0000\U0010fffd",
    "\u0378\u0379 \U000e0080 \uffff\ufffe", "\u00ad\u200b\u200c\u200d\ufeff\u2060x", "\x01\x07\x0b\x0c\x1b\x7f\x80\x85\x9f",
    "[CLS] [SEP] [MASK] [PAD] [UNK]", "[cls][MASK][mask] [MASK]", "a  [MASK]  b", "[MASK]ED [MASK]EDs x[MASK]EDx", "[MASK] [MASK]  [MASK]",
    "<ent> x<ent> <ent>y <ent>. .<ent> é<ent> \u0301<ent> _<ent> \u200d<ent> \u24b6<ent>", "<both>  <both>x <both> y  <both>", "<right>  x<right> ",
    "Überdachs ÜBERDACH überdachs uberdach U\u0308berdachs überdächer x überdach x", "seoul 서울  x SEOUL 서울", "一丁 x一丁x 一 丁 一  丁",
    "[unused0] [ unused0 ]", "don't won't 'tis rock'n'roll", "a" * 100, "a" * 101, "b" * 100, "aaab" * 25, "a" * 99 + "é", "é" * 100, "é" * 101,
    "x" + "\u0301" * 300 + "y", "ab" * 500, "." * 150, "中" * 60, "a\u0300" * 101, "\u1734a\u166da\U000111c9a\U0001171ea",
    "\u1c89\ua7cb\ua7cc\ua7ce\ua7d2\ua7d4\ua7da\ua7dc\U00010d50\U00010d65\U00016ea0\U00016eb8", "\U00011938 \U000105c9 \U00016d68 \U00011383",
    "ﬁn ﬁﬂ ①②½ ℌ 𝒳𝓎", "ก็ ไทย สวัสดี", "हिन्दी क्षि", "\u0958 \u09dc \u0a33 \u0b5c \ufb1d \ufb2a", "\u212b\u2126\u212a k", "\u01c4\u01c5\u01c6 \u1fbc \u1f88",
]


def random_strings(rng, count):
    every = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
    marks = [c for c in every if unicodedata.combining(chr(c))] + list(range(0x1AC0, 0x1AF0))
    newer = [c for first, last in [(0x890, 0x8E2), (0x9FD, 0x9FE), (0x1ABF, 0x1AF0), (0x1DF6, 0x1DFB),
                                   (0x2E43, 0x2E63), (0x10D24, 0x10F89), (0x11660, 0x1166C),
                                   (0x11830, 0x11AA2), (0x11C30, 0x11CB6), (0x1E000, 0x1E02A),
                                   (0x1E8D0, 0x1E95F)] for c in range(first, last + 1)]
    pools = {
        "word": lambda: rng.choice(WORDS),
        "suffixed": lambda: rng.choice(WORDS) + rng.choice(SUFFIXES),
        "upper": lambda: rng.choice(WORDS).upper(),
        "nfd": lambda: unicodedata.normalize("NFD", rng.choice(WORDS)),
        "ascii": lambda: "".join(chr(rng.randrange(0, 128)) for _ in range(rng.randint(1, 8))),
        "latin": lambda: "".join(chr(rng.randrange(0xA0, 0x250)) for _ in range(rng.randint(1, 5))),
        "marks": lambda: rng.choice("aeosçé가中") + "".join(
            chr(rng.choice(marks)) for _ in range(rng.randint(1, 5))),
        "newer": lambda: "".join(chr(rng.choice(newer)) for _ in range(rng.randint(1, 4))),
        "basic": lambda: "".join(chr(rng.choice(every[:0xF800])) for _ in range(rng.randint(1, 4))),
        "any": lambda: "".join(chr(rng.choice(every)) for _ in range(rng.randint(1, 3))),
        "cjk": lambda: "".join(chr(rng.randrange(0x4E00, 0x9FFF)) for _ in range(rng.randint(1, 4))),
        "hangul": lambda: "".join(chr(rng.randrange(0xAC00, 0xD7A4)) for _ in range(rng.randint(1, 3))),
        "general": lambda: "".join(chr(rng.randrange(0x2000, 0x2070)) for _ in range(rng.randint(1, 3))),
        "emoji": lambda: rng.choice(["😀", "👩", "❤\ufe0f", "👩\u200d👧", "🇫🇷", "👍🏽"]),
        "special": lambda: rng.choice(["[CLS]", "[SEP]", "[MASK]", "[MASK]ED", "<ent>", "<both>",
                                       "<right> ", "überdach", "Überdachs", "Seoul 서울", "一丁"]),
        "case": lambda: "".join(rng.choice("İIıiΣσςßẞǅŉΐÅKﬀ\u1c89\ua7dc") for _ in range(rng.randint(1, 4))),
    }
    kinds = list(pools)
    for _ in range(count):
        parts = []
        for _ in range(rng.randint(1, 5)):
            parts.append(pools[rng.choice(kinds)]())
            parts.append(rng.choice(["", "", " ", " ", "  ", ".", "-", "\u3000"]))
        yield "".join(parts)


def fnv(text):
    value = 2166136261
    for byte in text.encode():
        value = (value ^ byte) * 16777619 & 0xFFFFFFFF
    return value


def checksum(encoding, texts):
    """`texts` are the text of each sequence, or the words of the one sequence."""
    places = []
    for text in texts:
        at = [0]
        for character in text:
            at.append(at[-1] + len(character.encode()))
        places.append(at)
    parts = []
    words = len(texts) > 1 and max((s for s in encoding.sequence_ids if s is not None), default=0) == 0
    for i, token in enumerate(encoding.ids):
        sequence, word = encoding.sequence_ids[i], encoding.word_ids[i]
        begin, end = encoding.offsets[i]
        if sequence is None:
            parts.append(f"{token},{encoding.type_ids[i]},-1,0,0;")
            continue
        at = places[word if words else sequence]
        parts.append(f"{token},{encoding.type_ids[i]},{word},{at[begin]},{at[end]};")
    return fnv("".join(parts))


def invalid_utf8(rng):
    pieces = [b"\x80", b"\xbf", b"\xc0\x80", b"\xc1\xbf", b"\xc3", b"\xe0\x80\x80", b"\xe0\xa0", b"\xed\xa0\x80",
              b"\xed\xbf\xbf", b"\xf0\x80\x80\x80", b"\xf0\x9f\x98", b"\xf4\x90\x80\x80", b"\xf5\x80", b"\xff", b"\xfe",
              b"\xe4\xb8", "é".encode(), "北".encode(), "😀".encode(), b"a", b" ", b"the", b".", b"\x00"]
    for _ in range(300):
        yield b"".join(rng.choice(pieces) for _ in range(rng.randint(1, 6)))


def write_tokenizer_files(minilm):
    vocabulary = make_vocabulary()
    (OUT / "vocab.txt").write_text("".join(t + "\n" for t in vocabulary), newline="\n")
    tokenizer = make_tokenizer(vocabulary)
    (OUT / "tokenizer.json").write_text(tokenizer.to_str(pretty=False))

    rng = random.Random(SEED)
    strings = HAND_WRITTEN + list(random_strings(rng, 3000))
    golden = {"strings": strings, "ids": [tokenizer.encode(s).ids for s in strings], "checksums": {}}
    for name, settings in NORMALIZERS.items():
        tokenizer.normalizer = normalizers.BertNormalizer(**settings)
        # Added tokens are normalized when they are added.
        again = Tokenizer.from_str(tokenizer.to_str())
        golden["checksums"][name] = [checksum(again.encode(s), [s]) for s in strings]
    tokenizer.normalizer = normalizers.BertNormalizer()

    plain = Tokenizer.from_str(tokenizer.to_str())
    golden["bytes"] = []
    for raw in invalid_utf8(rng):
        text = raw.decode("utf-8", errors="replace")
        unclean = normalizers.BertNormalizer(clean_text=False, handle_chinese_chars=False,
                                             strip_accents=False, lowercase=False)
        plain.normalizer = unclean
        golden["bytes"].append([raw.hex(), text, plain.encode(text).ids])

    # Pairs with truncation: the indices of two strings, max_length, special tokens or not.
    golden["pairs"] = []
    for _ in range(400):
        first, second = rng.randrange(len(strings)), rng.randrange(len(strings))
        length, special = rng.choice([0, 3, 4, 5, 8, 13, 16, 24, 1000]), rng.random() < 0.7
        if length:
            tokenizer.enable_truncation(length)
        else:
            tokenizer.no_truncation()
        encoding = tokenizer.encode(strings[first], strings[second], add_special_tokens=special)
        golden["pairs"].append([first, second, length, special,
                                checksum(encoding, [strings[first], strings[second]]), encoding.ids])
    # One text, truncated.
    golden["truncated"] = []
    for _ in range(200):
        first, length, special = rng.randrange(len(strings)), rng.choice([2, 3, 7, 16]), rng.random() < 0.7
        tokenizer.enable_truncation(length)
        encoding = tokenizer.encode(strings[first], add_special_tokens=special)
        golden["truncated"].append([first, length, special, checksum(encoding, [strings[first]])])
    tokenizer.no_truncation()

    # Texts that were split before.
    golden["words"] = []
    for _ in range(300):
        words = [rng.choice(strings)[:rng.choice([3, 10, 40])] for _ in range(rng.randint(2, 8))]
        encoding = tokenizer.encode(words, is_pretokenized=True)
        golden["words"].append([words, checksum(encoding, words)])

    # A batch, padded to a multiple of 8.
    tokenizer.enable_padding(pad_id=tokenizer.token_to_id("[PAD]"), pad_to_multiple_of=8)
    batch = tokenizer.encode_batch(strings[:40:3])
    golden["batch"] = [[e.ids, e.attention_mask, e.type_ids] for e in batch]
    tokenizer.no_padding()

    # Canonical decomposition, with the marks in their order.
    nfd = normalizers.NFD()
    golden["nfd"] = [[s, nfd.normalize_str(s)] for s in random_marks(rng)]
    (OUT / "golden.json").write_text(json.dumps(golden, ensure_ascii=False, separators=(",", ":")))

    if minilm:
        real = Tokenizer.from_file(str(pathlib.Path(minilm) / "tokenizer.json"))
        real.no_truncation()
        real.no_padding()
        sums = [checksum(real.encode(s), [s]) for s in strings]
        (OUT / "minilm_checksums.json").write_text(json.dumps(sums, separators=(",", ":")))


def random_marks(rng):
    marks = [c for c in range(0x110000) if unicodedata.combining(chr(c))]
    marks += list(range(0x1AC0, 0x1AF0)) + list(range(0x10EFA, 0x10F00)) + [0x16FF0, 0x1D128, 0x1E6F5]
    for _ in range(600):
        yield "".join(chr(rng.choice(marks)) if rng.random() < 0.85 else rng.choice("aé가\u0344\u0f73ạ̈")
                      for _ in range(rng.randint(2, 6)))


def ask(c):
    """Returns what the tokenizers make of a code point: flags, lower case and decomposition."""
    character = chr(c)
    only = dict(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False)
    cleaned = normalize(character, **{**only, "clean_text": True})
    stripped = normalize(character, **{**only, "strip_accents": True})
    parts = [p for p, _ in pre_tokenizers.BertPreTokenizer().pre_tokenize_str("a" + character + "b")]
    flags = ""
    flags += "c" if cleaned == "" and c not in (0, 0xFFFD) else ""
    flags += "w" if parts == ["a", "b"] else ""
    flags += "p" if parts == ["a", character, "b"] else ""
    flags += "m" if stripped == "" else ""
    flags += "k" if normalize(character, **{**only, "handle_chinese_chars": True}) != character else ""
    return (flags, normalize(character, **{**only, "lowercase": True}),
            normalizers.NFD().normalize_str(character))


def ask_words():
    """Returns the code points that count as parts of words beside a single_word token."""
    tokenizer = Tokenizer(models.WordLevel({"x": 0}, unk_token="x"))
    tokenizer.add_tokens([AddedToken("<ent>", single_word=True, normalized=False)])
    return {c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF and
            tokenizer.encode("<ent>" + chr(c)).ids[0] == 0}


def ask_regex(pattern):
    """The code points that a class of the tokenizers' regular expressions has."""
    keep = pre_tokenizers.Split(tokenizers.Regex(pattern), behavior="removed", invert=True)
    codes = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
    return {ord(c) for i in range(0, len(codes), 4096)
            for piece, _ in keep.pre_tokenize_str("".join(map(chr, codes[i:i + 4096]))) for c in piece}


def write_characters():
    """Every code point: runs `first last flags` (c removed, w white space, p punctuation, m nonspacing
    mark, k CJK, x part of a word), then `lower code ...` and `parts code ...` without Hangul;
    hexadecimal."""
    words = ask_words()
    runs, lower, decomposed = [], [], []
    for c in range(0x110000):
        if 0xD800 <= c <= 0xDFFF:
            continue
        flags, low, parts = ask(c)
        flags += "x" if c in words else ""
        if flags:
            if runs and runs[-1][1] == c - 1 and runs[-1][2] == flags:
                runs[-1][1] = c
            else:
                runs.append([c, c, flags])
        if low != chr(c):
            lower.append(f"lower {c:X} " + " ".join(f"{ord(x):X}" for x in low))
        if parts != chr(c) and not 0xAC00 <= c <= 0xD7A3:
            decomposed.append(f"parts {c:X} " + " ".join(f"{ord(x):X}" for x in parts))
    lines = [f"{a:X} {b:X} {flags}" for a, b, flags in runs] + lower + decomposed
    (OUT / "characters.txt").write_text("\n".join(lines) + "\n")


def write_entities():
    """Random tag sequences and what seqeval counts of them in its default mode, conlleval's."""
    from seqeval.metrics.sequence_labeling import accuracy_score, precision_recall_fscore_support
    rng = random.Random(SEED)
    lines = []
    for case in range(150):
        types = rng.sample(["PER", "ORG", "LOC", "MISC", "creative-work"], rng.randint(1, 4))
        marks = rng.choice(["BIO", "IO", "BI", "BIOO"])
        tag = lambda: "O" if (m := rng.choice(marks)) == "O" else m + "-" + rng.choice(types)
        actual = [[tag() for _ in range(rng.randint(1, 12))] for _ in range(rng.randint(1, 6))]
        predicted = [[t if rng.random() < 0.7 else tag() for t in s] for s in actual]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            micro = precision_recall_fscore_support(actual, predicted, average="micro")[:3]
            each = precision_recall_fscore_support(actual, predicted, average=None)
        seen = sorted({t[2:] for s in actual + predicted for t in s if t != "O"})
        lines.append(f"case {accuracy_score(actual, predicted)!r} " + " ".join(repr(float(v)) for v in micro))
        for i, name in enumerate(seen):
            lines.append(f"type {name} " + " ".join(repr(float(v[i])) for v in each[:3]) + f" {each[3][i]}")
        for a, p in zip(actual, predicted):
            lines.append("sentence " + " ".join(a) + " | " + " ".join(p))
    (OUT / "entities.txt").write_text("\n".join(lines) + "\n")


def print_tables():
    import ctypes

    import unicodedata2 as newest
    library = ctypes.CDLL("libutf8proc.so.2")
    library.utf8proc_category_string.restype = ctypes.c_char_p
    library.utf8proc_unicode_version.restype = ctypes.c_char_p
    library.utf8proc_get_property.restype = ctypes.POINTER(ctypes.c_int16)
    print("utf8proc: Unicode", library.utf8proc_unicode_version().decode(),
          "- unicodedata2: Unicode", newest.unidata_version)
    buffer, boundary = (ctypes.c_int32 * 32)(), ctypes.c_int(0)

    def decomposition(c):
        n = library.utf8proc_decompose_char(c, buffer, 32, 16, ctypes.byref(boundary))
        return "".join(map(chr, buffer[:n]))

    def kind(category, c):
        if category[0] == "P" or (0x20 < c < 0x7F and not chr(c).isalnum()):
            return "p"
        if category == "Mn":
            return "m"
        return "c" if category in ("Cc", "Cf", "Co") and c not in (9, 10, 13) else ""

    codes = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
    asked = {c: ask(c) for c in codes}
    ours = {c: "".join(f for f in asked[c][0] if f in "pmc") for c in codes}
    ours[0] = "c"
    old = {c: kind(library.utf8proc_category_string(c).decode(), c) for c in codes}
    new = {c: kind(newest.category(chr(c)), c) for c in codes}
    first_class = {c: library.utf8proc_get_property(c)[1] for c in codes}
    last_class = {c: newest.combining(chr(c)) for c in codes}

    # The combining class is not to be had from the tokenizers, but the order that follows from it is.
    nfd = normalizers.NFD().normalize_str
    samples = {}
    for c in codes:
        value = unicodedata.ucd_3_2_0.combining(chr(c))
        if value and asked[c][2] == chr(c):
            samples.setdefault(value, chr(c))

    def ordered_as(c, value):
        return all((nfd("a" + chr(c) + m) != "a" + chr(c) + m) == (value > k) and
                   (nfd("a" + m + chr(c)) != "a" + m + chr(c)) == (0 < value < k)
                   for k, m in samples.items())

    def same(c):
        return asked[c][2] == decomposition(c) == newest.normalize("NFD", chr(c)) and (
            not (first_class[c] or last_class[c]) or asked[c][2] != chr(c) or
            (ordered_as(c, first_class[c]) and ordered_as(c, last_class[c])))

    def ranges(differing, plain):
        merged = []
        for c in sorted(differing):
            if merged and all(plain(g) for g in range(merged[-1][1] + 1, c)):
                merged[-1][1] = c
            else:
                merged.append([c, c])
        return ", ".join(f"{{0x{a:X}, 0x{b:X}}}" for a, b in merged)

    print("newer_categories", ranges([c for c in codes if not ours[c] and (old[c] or new[c])],
                                     lambda g: ours.get(g) == ""))
    for flag, name in (("p", "punctuation_before"), ("m", "nonspacing_mark_before")):
        print(name, [hex(c) for c in codes if ours[c] == flag and not old[c] == new[c] == flag])
    print("other categories", [hex(c) for c in codes if ours[c] == "c" and not old[c] == new[c] == "c"])
    normalization = {c for c in codes if not same(c)}
    odd = [hex(c) for c in normalization if asked[c][2] != chr(c) or not ordered_as(c, 0)]
    print("newer_normalization", ranges(normalization, lambda g: g in asked and (g in normalization or (
        asked[g][2] == chr(g) and not first_class[g] and not last_class[g] and same(g)))))
    print("not plain in the tokenizers", odd)
    words = ask_words()
    for name, category in (("newer_words", lambda c: library.utf8proc_category_string(c).decode()),
                           ("words in newer data only", lambda c: newest.category(chr(c)))):
        known = {c for c in codes if category(c)[0] in "LM" or category(c) in ("Nd", "Nl", "Pc") or
                 c in (0x200C, 0x200D) or 0x24B6 <= c <= 0x24E9 or 0x1F130 <= c <= 0x1F149 or
                 0x1F150 <= c <= 0x1F169 or 0x1F170 <= c <= 0x1F189}
        print(name, ranges(words - known if name == "newer_words" else known - words, lambda g: False))
    for name, pattern, first in (("newer_letters", r"\p{L}", "L"), ("newer_numbers", r"\p{N}", "N")):
        known = {c for c in codes if library.utf8proc_category_string(c).decode()[0] == first}
        print(name, ranges(ask_regex(pattern) - known, lambda g: False), "- not back:", len(known - ask_regex(pattern)))
    print("newer_lowercase", [(hex(c), [hex(ord(x)) for x in asked[c][1]]) for c in codes
                              if chr(library.utf8proc_tolower(c)) != asked[c][1]])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--minilm")
    parser.add_argument("--tables", action="store_true")
    arguments = parser.parse_args()
    OUT.mkdir(exist_ok=True)
    if arguments.tables:
        print_tables()
    else:
        write_tokenizer_files(arguments.minilm)
        write_characters()
        write_entities()
        (OUT / "VERSIONS.txt").write_text(
            f"tokenizers {tokenizers.__version__}\nseqeval 1.2.2\n"
            f"unicodedata {unicodedata.unidata_version}\n")
