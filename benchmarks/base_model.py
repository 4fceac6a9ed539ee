#!/usr/bin/env python3
"""Whether the miniature base model draws what a prompt says: class, scene, colour word, accessory.

    benchmarks/base_model.py --out base-model

starts likeness-server and likeness-worker on loopback, generates every class in every scene and colour and with every
accessory, and lets models/mini-eval look at the pictures. Writes table.md and page.png; pictures that are there already
are not drawn again.
"""
import argparse
import itertools
import pathlib

from mini_world import ACCESSORIES, BIN, CLASSES, COLOURS, SCENES, WITH_A_NECK, measure, run, service


def prompts():
    """(attribute asked for, its value, class, prompt)"""
    for noun in CLASSES:
        for scene, words in SCENES.items():
            yield "scene", scene, noun, f"a {noun} {words}"
        for colour in COLOURS:
            yield "colour", colour, noun, f"{'an' if colour[0] == 'o' else 'a'} {colour} {noun}"
        for thing, words in ACCESSORIES.items():
            if thing != "rainbow-scarf" or noun in WITH_A_NECK:
                yield "accessory", thing, noun, f"a {noun} {words}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("base-model"))
    parser.add_argument("--images", type=int, default=2, help="pictures of each prompt [2]")
    args = parser.parse_args()
    out = args.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    right = {}  # (attribute, value): [was it seen?]
    with service(out):
        for number, (attribute, value, noun, prompt) in enumerate(prompts()):
            folder = out / "pictures" / f"{noun}-{value}"
            if not folder.exists():
                run(BIN / "likeness", "generate", prompt, "--model", "mini", "--images", args.images, "--seed",
                    1000 * number, "--out", folder)
            for row in measure(folder):
                right.setdefault((attribute, value), []).append(row[attribute] == value)
                right.setdefault(("class", noun), []).append(row["class"] == noun)
    lines = ["| asked for | pictures | right | weakest |", "|---|---|---|---|"]
    for attribute in ("class", "scene", "colour", "accessory"):
        values = {value: seen for (name, value), seen in right.items() if name == attribute}
        every = list(itertools.chain.from_iterable(values.values()))
        weakest = sorted(values, key=lambda value: sum(values[value]) / len(values[value]))[:3]
        lines.append(f"| {attribute} | {len(every)} | {sum(every) / len(every):.1%} | " + ", ".join(
            f"{value} {sum(values[value]) / len(values[value]):.0%}" for value in weakest) + " |")
    (out / "table.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))
    rows = [f"{noun}=" + ",".join(str(out / "pictures" / f"{noun}-{value}" / "0000.png")
                                  for value in [*SCENES, *COLOURS[:4], "red-hat"]) for noun in CLASSES]
    run(BIN / "likeness-worker", "contact-sheet", "--out", out / "page.png", "--tile", 96,
        *itertools.chain.from_iterable(("--row", row) for row in rows))


if __name__ == "__main__":
    main()
