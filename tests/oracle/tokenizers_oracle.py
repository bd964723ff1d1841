# SPDX-License-Identifier: Apache-2.0
"""Writes tests/data/tokenizers: small vocabularies, hostile texts, and what Hugging Face tokenizers makes of them.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install tokenizers==0.23.3
    /tmp/venv/bin/python tests/oracle/tokenizers_oracle.py [--out DIR]

Output is the same on every run: training is deterministic and the texts come from a seeded generator. A case is one
JSON line: `text`, `ids` (no special tokens), and where they differ from `ids`: `special` (with special tokens) and
`plain` (special tokens in the text not recognised); `decoded` where it differs from `text`. Lines with `decode` hold
random ids, `decoded` and `skipped` (special tokens left out).
"""

import argparse
import json
import pathlib
import random

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")

PROSE = [
    "The river had been rising since Tuesday, and by the end of the week nobody in the village was surprised any more.",
    "She didn't say that they'd won; she said we've nothing to lose, it's 10:45 already, and I'm sure you'll agree.",
    "A state space model keeps a fixed amount of memory: 128 numbers for each channel, however long the text becomes.",
    "Der Müller öffnete die Tür, als die ersten größeren Tropfen auf das Dach fielen. Übrigens: 3,14 ist nicht genau pi.",
    "Le garçon a mangé une crème brûlée à la fête ; c'était délicieux, n'est-ce pas ?",
    "Быстрая лиса прыгает через ленивую собаку, а потом возвращается домой к ужину.",
    "量子化は重みを小さな整数で表す。モデルは軽くなり、推論は速くなる。",
    "def add(a, b):\n    return a + b  # two spaces\n\n\tif x == 1:\n\t\tprint('yes')\n",
    "Prices rose from $1,299.00 to $1,450.50 (11.7%) between 2019 and 2024, see section 4.2.1 on page 365.",
    "नमस्ते दुनिया, यह एक छोटा सा वाक्य है।  مرحبا بالعالم ١٢٣  שלום עולם",
]
SPACES = [0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x20, 0x85, 0xA0, 0x1680, 0x180E, 0x2000, 0x2003, 0x200A, 0x200B, 0x200C, 0x200D,
          0x2028, 0x2029, 0x202F, 0x205F, 0x2060, 0x3000, 0xFEFF, 0x1C, 0x1F]
ODD = [0x00, 0x01, 0x7F, 0x80, 0xAD, 0xB2, 0xBC, 0x17F, 0x130, 0x131, 0x1E9E, 0x212A, 0x2160, 0x3007, 0x24B6, 0x0660, 0x0966,
       0xFF11, 0x1D7D8, 0x10D40, 0x1C89, 0x31350, 0x0378, 0x1FFFE, 0x10FFFF, 0xE000, 0xFFFD, 0xFFFF, 0xFDFA, 0xAC01,
       0x1100, 0x1161, 0x11A8, 0x0F73, 0x1F468, 0x200D, 0x1F469, 0x1F3FD, 0xFE0F, 0x20E3, 0x1F1E6, 0x1F1FA, 0x2019,
       0x55D, 0xB7, 0x5F, 0x203F, 0x30FB, 0x4E00, 0x20000, 0xE0041]
MARKS = [0x300, 0x301, 0x308, 0x323, 0x327, 0x345, 0x5B0, 0x64B, 0x93C, 0x3099, 0x1DC0, 0x20D0]
FIXED = [
    "", " ", "  ", "   ", "\n", "\r", "\r\n", "\n\n", " \n", "\n ", "\r\r\n\n", " \r\n \t x", "a \n b", "a  b", "a   b", "  a",
    "x  ", "\t\t", "\ta", "\x00", "a\x00b", "\x00\x00 \x00", "'s", "it's", "IT'S", "it'S", "it\u2019s", "''s", "'ss", "' s", "'", "''",
    "we'll'll", "'lL", "'\u017f", "don't can't I'm you've they'd", "a's's", "1's", "1234567890", " 1 12 123 1234 12345 123456", "1.2.3", "１２３ ٣٤٥ ۴ ५६",
    "½⅓²³Ⅷ", "x²+y²", "e\u0301e\u0301\u0323e\u0323\u0301", "\u0301", "\u0301\u0301", "a\u0345\u0301", "\u1100\u1161\u11a8", "\uac00\u11a8",
    "\u212b\u2126\u212a", "\u0958\u0344", "\u1e9b\u0323", "👨‍👩‍👧‍👦", "👍🏽👍🏿", "🇦🇺🇫🇷", "1️⃣#️⃣", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "\ufeffbom", "a\u200bb",
    "\u180e\u180e a\u180e b", "a\u00a0b\u00a0 c", "\u3000\u3000x", "\u2028\u2029", "\x85\x85 x", "...!!!???", "!?a!?", "--- --", "$$ $", "a_b-c", "_", "`~^<=>|+",
    "http://x.y/z?a=1&b=%20", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "ab" * 90, " " * 100, "\n" * 70,
    "<s>", "</s>", "<s>a</s>", "a<s>b", " <s> ", "<s><s>", "<s", "s>", "<|end|>", "<|end|>x<|end|>", "x <|end|> y", "<|end|", "<|en<|end|>",
    "[SEP]", "x[SEP]y", " x [SEP] y ", "  [SEP]  ", "[SEP][SEP]", "[SEP] [SEP]", "\t\n[SEP]\u3000z", "[WORD]", "x[WORD]", "x [WORD] y", "[WORD]y", "\u0301[WORD]", "²[WORD]",
    "[WORD].", "[WORD][WORD]", "CAFÉ!", "CAFE\u0301!", "xCAFÉ!y", "    four     five", "▁", "▁a ▁▁b", " ▁", "▁ ", "<0x41>", "<0xE4>é",
]


def texts(seed):
    rng = random.Random(seed)
    yield from FIXED
    yield from PROSE
    pieces = [p for line in PROSE for p in line.split(" ")] + ["'s", "'ll", "<s>", "<|end|>", "[SEP]", "[WORD]", "CAFE\u0301!", " ", "  "]
    for _ in range(150):
        out = []
        for _ in range(rng.randrange(1, 14)):
            kind = rng.randrange(9)
            if kind <= 2:
                out.append(rng.choice(pieces))
            elif kind == 3:
                out.append("".join(chr(rng.choice(SPACES)) for _ in range(rng.randrange(1, 4))))
            elif kind == 4:
                out.append(chr(rng.choice(ODD)))
            elif kind == 5:
                out.append(rng.choice("aeoscnAEYkq ") + "".join(chr(rng.choice(MARKS)) for _ in range(rng.randrange(1, 4))))
            elif kind == 6:
                out.append(chr(rng.randrange(0x20, 0x7F)))
            elif kind == 7:
                c = rng.randrange(0x110000 - 0x800)
                out.append(chr(c if c < 0xD800 else c + 0x800))
            else:
                out.append(chr(rng.randrange(0x80, 0x3000)))
        yield "".join(out)


def byte_level(pre, normalizer=None, size=620, post=None, **model):
    t = Tokenizer(models.BPE(**model))
    if normalizer:
        t.normalizer = normalizer
    t.pre_tokenizer = pre
    t.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    t.train_from_iterator(PROSE * 3, trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, special_tokens=["<s>", "<|end|>"], show_progress=False))
    if post:
        t.post_processor = post(t)
    return t


def template(t):
    return processors.Sequence([processors.ByteLevel(trim_offsets=False), processors.TemplateProcessing(
        single="<s> $A <|end|>", special_tokens=[("<s>", t.token_to_id("<s>")), ("<|end|>", t.token_to_id("<|end|>"))])])


def add_tokens(name, t):
    t.add_special_tokens([AddedToken("[SEP]", lstrip=True, rstrip=True, special=True)])
    t.add_tokens([AddedToken("[WORD]", single_word=True, normalized=False), AddedToken("CAFE\u0301!", normalized=True)])
    if name != "prefix":  # its normalizer strips: tokenizers panics on an added token that becomes empty
        t.add_tokens([AddedToken("    ", normalized=True)])


def sentencepiece_like(pre, normalizer, decoder, **model):
    t = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>", **model))
    t.normalizer = normalizer
    if pre:
        t.pre_tokenizer = pre
    else:
        t.pre_tokenizer = pre_tokenizers.Split(" ", "isolated")  # for training only
    hexes = ["<0x%02X>" % b for b in range(256)]
    t.train_from_iterator(PROSE, trainers.BpeTrainer(vocab_size=560, special_tokens=["<unk>", "<s>", "<|end|>"] + hexes, show_progress=False, limit_alphabet=80))
    spec = json.loads(t.to_str())
    if not pre:
        spec["pre_tokenizer"] = None
    spec["added_tokens"] = [a for a in spec["added_tokens"] if not a["content"].startswith("<0x")]
    t = Tokenizer.from_str(json.dumps(spec))
    t.decoder = decoder
    return t


def styles():
    split = pre_tokenizers.Split
    digits3 = split(Regex("[0-9][0-9][0-9]"), "isolated")
    gpt2 = pre_tokenizers.ByteLevel(add_prefix_space=False)
    yield "gpt2", byte_level(gpt2, post=lambda t: processors.ByteLevel(trim_offsets=True))
    yield "neox", byte_level(gpt2, normalizers.NFC())
    yield "prefix", byte_level(pre_tokenizers.ByteLevel(add_prefix_space=True), normalizers.Sequence([normalizers.NFKD(), normalizers.Lowercase(), normalizers.Strip()]))
    yield "llama3", byte_level(pre_tokenizers.Sequence([split(Regex(LLAMA3), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]), post=template, ignore_merges=True)
    yield "falcon", byte_level(pre_tokenizers.Sequence([pre_tokenizers.Punctuation("contiguous"), gpt2, pre_tokenizers.Digits(False), digits3]))
    yield "splits", byte_level(pre_tokenizers.Sequence([
        split(Regex(r"\s+"), "merged_with_next"), split("e", "merged_with_previous"), split(Regex(r"\w+|[^\w\s]+"), "removed", invert=True),
        split(Regex(r"\d|[[:upper:]]"), "contiguous"), split(Regex(r"$|x*"), "isolated"), pre_tokenizers.Digits(True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]),
        normalizers.Sequence([normalizers.NFD(), normalizers.Replace(Regex(r"\p{Mn}{2,}"), "~"), normalizers.Replace("q", "kw")]))
    chain = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    yield "llama2", sentencepiece_like(None, normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]), chain)
    yield "metaspace", sentencepiece_like(pre_tokenizers.Metaspace(prepend_scheme="first"), normalizers.NFKC(), decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(prepend_scheme="first")]))


def write_cases(t, seed, path):
    rng = random.Random(seed)
    ids_of = lambda text, **kw: t.encode(text, **kw).ids
    with open(path, "w") as f:
        for text in texts(seed):
            t.encode_special_tokens = False
            case = {"text": text, "ids": ids_of(text, add_special_tokens=False)}
            special = ids_of(text, add_special_tokens=True)
            t.encode_special_tokens = True
            plain = ids_of(text, add_special_tokens=False)
            t.encode_special_tokens = False
            decoded = t.decode(case["ids"], skip_special_tokens=False)
            for key, value, usual in (("special", special, case["ids"]), ("plain", plain, case["ids"]), ("decoded", decoded, text)):
                if value != usual:
                    case[key] = value
            f.write(json.dumps(case, separators=(",", ":")) + "\n")
        for _ in range(60):
            top = t.get_vocab_size() + 2
            ids = [rng.randrange(top) if rng.randrange(3) else rng.randrange(min(top, 262)) for _ in range(rng.randrange(1, 16))]
            case = {"decode": ids, "decoded": t.decode(ids, skip_special_tokens=False), "skipped": t.decode(ids, skip_special_tokens=True)}
            f.write(json.dumps(case, separators=(",", ":")) + "\n")


def ranges(points):
    out = []
    for c in sorted(points):
        if out and out[-1][1] == c - 1:
            out[-1][1] = c
        else:
            out.append([c, c])
    return [x for pair in out for x in pair]


def code_points():
    """Which characters each class holds, as first, last, first, last, ..."""
    points = [c for c in range(1, 0x110000) if not 0xD800 <= c < 0xE000]
    blocks = [points[i:i + 4096] for i in range(0, len(points), 4096)]

    def removed(pre):
        found = []
        for block in blocks:
            kept = set("".join(p for p, _ in pre.pre_tokenize_str("\0".join(map(chr, block)))))
            found += [c for c in block if chr(c) not in kept]
        return ranges(found)

    t = Tokenizer(models.BPE(vocab={"a": 0}, merges=[]))
    t.add_tokens([AddedToken("[T]", single_word=True, normalized=False)])

    def word():
        found = []
        for block in blocks:
            starts = {a for a, b in t.encode("".join(chr(c) + "[T]\0" for c in block)).offsets if b - a == 3}
            found += [c for i, c in enumerate(block) if 5 * i + 1 not in starts]
        return ranges(found)

    def numeric():
        pre = pre_tokenizers.Digits(True)
        found = []
        for block in blocks:
            pieces = {p for p, _ in pre.pre_tokenize_str("\0\0".join(map(chr, block))) if len(p) == 1}
            found += [c for i, c in enumerate(block) if chr(c) in pieces]
        return ranges(found)

    split = lambda p: pre_tokenizers.Split(Regex(p), "removed")
    return {"letter": removed(split(r"\p{L}")), "number": removed(split(r"\p{N}")), "space": removed(split(r"\s")),
            "digit": removed(split(r"\d")), "regex_word": removed(split(r"\w")), "word": word(),
            "numeric": numeric(), "punctuation": removed(pre_tokenizers.Punctuation("removed"))}


def main():
    here = pathlib.Path(__file__).resolve().parent
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=pathlib.Path, default=here.parent / "data" / "tokenizers")
    args = parser.parse_args()
    for number, (name, t) in enumerate(styles()):
        folder = args.out / name
        folder.mkdir(parents=True, exist_ok=True)
        add_tokens(name, t)
        spec = json.loads(t.to_str())
        if name == "gpt2":  # the older way to write merges
            spec["model"]["merges"] = [" ".join(m) for m in spec["model"]["merges"]]
        (folder / "tokenizer.json").write_text(json.dumps(spec, separators=(",", ":")) + "\n")
        write_cases(Tokenizer.from_file(str(folder / "tokenizer.json")), number, folder / "cases.jsonl")
    (args.out / "code_points.json").write_text(json.dumps(code_points(), separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
