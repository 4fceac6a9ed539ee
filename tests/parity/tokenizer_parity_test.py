"""Our tokenizer against transformers' CLIPTokenizer: every id of 10,000 strings, with CLIP's own vocabulary.

The vocabulary comes from the open_clip_torch package; without it the test is skipped.
"""

import gzip
import importlib.util
import json
import pathlib
import random
import subprocess
import sys
import tempfile
import unicodedata

import parity
from parity import transformers

CONTEXT_LENGTH = 77
MERGES = 49152 - 256 - 2  # as many lines of the file as CLIP uses
RAREST = ["rcn", "hmv", "dbz", "rps", "pgs", "pbc", "tvc", "gsp", "rmb", "pkg"]  # the first is offered for subjects


def clip_merges():
    spec = importlib.util.find_spec("open_clip")
    path = spec and pathlib.Path(spec.origin).parent / "bpe_simple_vocab_16e6.txt.gz"
    if not path or not path.exists():
        print("skipped: no bpe_simple_vocab_16e6.txt.gz (package open_clip_torch)")
        sys.exit(parity.SKIPPED)
    return gzip.open(path).read().decode().split("\n")[1 : MERGES + 1]


def byte_symbols():
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    other = [b for b in range(256) if b not in printable]
    return [chr(b) for b in printable] + [chr(256 + i) for i in range(len(other))]


def write_tokenizer(directory, merges, special_flags):
    """The files of a Stable Diffusion checkpoint's tokenizer/."""
    directory.mkdir()
    tokens = byte_symbols() + [s + "</w>" for s in byte_symbols()] + ["".join(m.split()) for m in merges]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    (directory / "vocab.json").write_text(json.dumps({t: i for i, t in enumerate(tokens)}), encoding="utf-8")
    (directory / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n", encoding="utf-8")
    config = {"tokenizer_class": "CLIPTokenizer", "model_max_length": CONTEXT_LENGTH}
    (directory / "tokenizer_config.json").write_text(json.dumps(config))
    if special_flags:
        start, end = ({"content": c, "lstrip": False, "normalized": True, "rstrip": False, "single_word": False}
                      for c in ("<|startoftext|>", "<|endoftext|>"))
        specials = {"bos_token": start, "eos_token": end, "unk_token": end, **special_flags}
        (directory / "special_tokens_map.json").write_text(json.dumps(specials))


def strings():
    """Every character there is, then random ones, then what prompts are made of."""
    rng = random.Random(20)
    every = [chr(c) for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
    marks = [c for c in every if unicodedata.combining(c)]
    composed = [c for c in every if unicodedata.decomposition(c)]
    texts = ["x ".join(every[i : i + 256]) for i in range(0, len(every), 256)]
    pools = [marks, composed, every, [chr(c) for c in range(0x250)], [chr(c) for c in range(0x1100, 0x1200)]]
    texts += ["".join(rng.choice(rng.choice(pools)) for _ in range(rng.randrange(1, 12))) for _ in range(4000)]
    words = ("a photo of the red dog's don't WE'LL 12 3.5 \u0130stanbul Stra\u00dfe \u4e2d\u6587 \U0001F436 <|endoftext|> "
             "<|ENDOFTEXT|> <|startoftext|>!! '' \x00 \x1f \u00a0 e\u0301 supercalifragilistic sks ;-) ... _ <| |>").split(" ")
    texts += [rng.choice(["", " ", "\t"]).join(rng.choice(words) for _ in range(rng.randrange(0, 40))) for _ in range(4000)]
    return texts + ["", " ", "x" * 10_000, "dog " * 2_500]


def compare(probe, directory, copy, texts):
    strings_file = directory.parent / "strings.json"
    strings_file.write_text(json.dumps(texts))
    told = json.loads(subprocess.check_output([probe, directory, strings_file, copy]))
    got = told["ids"]
    reference = transformers.CLIPTokenizer.from_pretrained(directory, local_files_only=True)
    wanted = reference(texts, add_special_tokens=False)["input_ids"]
    padded = reference(texts, padding="max_length", max_length=CONTEXT_LENGTH, truncation=True)["input_ids"]
    wrong = [i for i in range(len(texts)) if got[i] != {"plain": wanted[i], "padded": padded[i]}]
    for i in wrong[:5]:
        print(f"{texts[i]!a:.200}\n  wanted {wanted[i][:40]}\n  got    {got[i]['plain'][:40]}")
    print(f"{directory.name}: {len(texts)} strings, {len(wrong)} differ", flush=True)
    rare = {word: reference(word, add_special_tokens=False)["input_ids"] for word in told["rare"]}
    print(f"  rare tokens: {rare}")
    return not wrong and list(rare) == RAREST and all(len(ids) == 1 for ids in rare.values())


def main():
    probe, texts, merges = parity.parse_args(__doc__).probe, strings(), clip_merges()
    assert len(texts) >= 10_000
    transformers.logging.set_verbosity_error()
    with tempfile.TemporaryDirectory() as temp:
        temp = pathlib.Path(temp)
        write_tokenizer(temp / "plain", merges, {})
        good = compare(probe, temp / "plain", temp / "copy", texts)
        # The ways in which checkpoints declare special tokens, read from their files and from what we save.
        for name, pad in {"stable-diffusion-1": "<|endoftext|>", "stable-diffusion-2": "!"}.items():
            write_tokenizer(temp / name, merges, {"pad_token": pad})
            good &= compare(probe, temp / name, temp / f"{name}-saved", texts[-1000:])
            good &= compare(probe, temp / f"{name}-saved", temp / "again", texts[-1000:])
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
