#!/usr/bin/env python3
"""Which measure of likeness to trust: every one held against pairs of pictures of which it is known by construction how much alike
their subjects are.

    benchmarks/agreement.py --out agreement

`likeness-mini draw-pairs` draws pairs that differ in nothing but the view, in what is worn, in one attribute, in all but the class, or
in that too; the second picture as the autoencoder gives it back, as a model's own pictures are. For each measure: how well it tells
the same subject from another (area under the ROC curve), by what differs, and the rank correlation (Spearman) of its cosines with how
much differs. Needs the evaluators in models/, their probe (a test program), and the Python packages of scripts/setup --tests.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import tempfile

import numpy
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from scipy.stats import spearmanr

from mini_world import BIN, MODEL, ROOT, measure, run

PROBE = BIN.parent / "tests/parity/likeness_evaluator_probe"
SAME = ("view", "accessory")  # the same subject; but one wears something
OTHERS = ("proportion", "pattern", "colour", "instance", "class")
# How much of the subject differs, in steps.
DEGREE = {"view": 0, "accessory": 0, "proportion": 1, "pattern": 1, "colour": 1, "instance": 2, "class": 3}


def pixels(files):
    return torch.from_numpy(numpy.stack([numpy.asarray(Image.open(file).convert("RGB")) for file in files])).contiguous()


def by_evaluator(kind, evaluator):
    """Embeddings of files, by the worker's own code."""
    def embed(files):
        with tempfile.TemporaryDirectory() as folder:
            save_file({"images": pixels(files)}, f"{folder}/in", {"prompts": "a dog"})
            subprocess.run([PROBE, kind, ROOT / "models" / evaluator, f"{folder}/in", f"{folder}/out"], check=True)
            return load_file(f"{folder}/out")["embeddings"]
    return embed


def by_identity(files):
    """The study's identity encoder (models/mini-eval)."""
    return torch.tensor([row["identity"] for row in measure(files[0].parent)])


def by_pixels(files):
    """What any measure must beat: the pictures themselves, less their mean."""
    flat = pixels(files).float().flatten(1)
    flat = flat - flat.mean(1, keepdim=True)
    return flat / flat.norm(dim=1, keepdim=True)


MEASURES = {"DINO (mini-dino)": by_evaluator("vit", "mini-dino"), "CLIP-I (mini-clip)": by_evaluator("clip", "mini-clip"),
            "identity (mini-eval)": by_identity, "pixels": by_pixels}


def area(same, other):
    """The probability that a pair of the same subject is more alike than one of others (Mann and Whitney)."""
    same, other = numpy.asarray(same)[:, None], numpy.asarray(other)[None]
    return float((same > other).mean() + (same == other).mean() / 2)


def bootstrap(statistic, count, rounds=1000):
    """95 % interval of `statistic` over resampled pairs."""
    random = numpy.random.default_rng(0)
    values = sorted(statistic(random.integers(0, count, count)) for _ in range(rounds))
    return values[int(0.025 * rounds)], values[int(0.975 * rounds) - 1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("agreement"))
    parser.add_argument("--pairs", type=int, default=700)
    args = parser.parse_args()
    if not (args.out / "pairs.json").exists():
        run(BIN / "likeness-mini", "draw-pairs", "--pairs", args.pairs, "--through", MODEL, "--out", args.out)
    pairs = json.loads((args.out / "pairs.json").read_text())
    difference = numpy.array([pair["difference"] for pair in pairs])
    degree = numpy.array([DEGREE[name] for name in difference])
    files = [[args.out / side / pair["file"] for pair in pairs] for side in ("first", "second")]
    lines = ["| measure | AUC, all | " + " | ".join(f"against {name}" for name in OTHERS) + " | rank correlation | cosine: "
             + ", ".join(SAME + OTHERS) + " |", "|---" * (len(OTHERS) + 4) + "|"]
    for name, embed in MEASURES.items():
        cosines = (embed(files[0]) * embed(files[1])).sum(1).numpy()
        of = {kind: cosines[difference == kind] for kind in SAME + OTHERS}
        same = numpy.concatenate([of[kind] for kind in SAME])

        def whole(rows):
            return area(cosines[rows][degree[rows] == 0], cosines[rows][degree[rows] > 0])

        def ranked(rows):
            return -spearmanr(cosines[rows], degree[rows]).statistic

        everything = numpy.arange(len(pairs))
        low, high = bootstrap(whole, len(pairs), 300)
        rank_low, rank_high = bootstrap(ranked, len(pairs), 300)
        lines.append(f"| {name} | {whole(everything):.3f} ({low:.3f} to {high:.3f}) | "
                     + " | ".join(f"{area(same, of[kind]):.3f}" for kind in OTHERS)
                     + f" | {ranked(everything):.3f} ({rank_low:.3f} to {rank_high:.3f}) | "
                     + ", ".join(f"{statistics.fmean(map(float, of[kind])):.2f}" for kind in SAME + OTHERS) + " |")
    text = f"{len(pairs)} pairs.\n\n" + "\n".join(lines) + "\n"
    (args.out / "agreement.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
