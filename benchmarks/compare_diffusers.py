#!/usr/bin/env python3
"""The engine against diffusers in one run: a DreamBooth training step, and a guided picture of 20 steps (--steps).

    benchmarks/compare_diffusers.py --threads 2            the miniature model
    benchmarks/compare_diffusers.py --threads 2 --full     the sizes of Stable Diffusion 1.5, random weights
    benchmarks/compare_diffusers.py --device cuda:0 --full --dtype float32 bfloat16
    benchmarks/compare_diffusers.py --threads 2 --engine eager compile openvino
    benchmarks/compare_diffusers.py --threads 2 --full --memory

Both sides take turns, each in a process of its own, with the same weights, threads and dtype; what diffusers does is in
diffusers_peer.py; --engine chooses its execution backend. Prints medians and ratios (above 1: we are faster); the range is that of the rounds. On a machine that
has other work to do, one thread and the CPU's clock still give a fair ratio. --full writes a model of 4 GB to the
temporary directory, trains the UNet alone, and needs 24 GiB of memory. --memory compares the largest memory of a step instead: ours in
each of MEMORY_MODES, diffusers' as it comes, in float32.
"""
import argparse
import json
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time

from diffusers_peer import ENGINES
from full_model import write_full_model

ROOT = pathlib.Path(__file__).resolve().parent.parent
SIDES = ["ours", "diffusers"]
CLOCKS = {"seconds": "wall", "cpu_seconds": "CPU"}
# What saves memory in training, from the least that it costs: flags of train_step.
MEMORY_MODES = {
    "as it comes": ("float32", []),
    "fused backward pass": ("float32", ["--fused-backward-pass"]),
    "8-bit AdamW and gradient checkpointing too": ("float32", ["--fused-backward-pass", "--optimizer=adamw_8bit", "--gradient-checkpointing"]),
    "bfloat16 weights too": ("bfloat16", ["--fused-backward-pass", "--optimizer=adamw_8bit", "--gradient-checkpointing", "--bfloat16-weights"]),
}


def run(side, what, dtype, engine, args, flags):
    program = ([args.build / "benchmarks" / what] if side == "ours" else
               [sys.executable, ROOT / "benchmarks/diffusers_peer.py", what, f"--engine={engine}"])
    command = [*program, f"--model={args.model}", f"--device={args.device}", f"--threads={args.threads}", f"--dtype={dtype}",
               "--json", *flags]
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True, check=True)
    result = json.loads(done.stdout)
    print(f"{side if side == 'ours' else f'{side}, {engine}'}: {what}, {dtype}: {1000 * statistics.median(result['seconds']):.1f} ms", file=sys.stderr, flush=True)
    return result


def compare(what, dtype, engine, args, flags):
    """Runs both sides in turn, first the one, then the other first, and gives back their figures."""
    results = {side: [] for side in SIDES}
    for i in range(args.rounds):
        for side in SIDES if i % 2 == 0 else reversed(SIDES):
            results[side].append(run(side, what, dtype, engine, args, flags))
    row = {"what": what, "dtype": dtype, "engine": engine}
    if what == "sample_image":
        row["mean_pixel"] = [results[side][0]["mean_pixel"] for side in SIDES]
    for clock in CLOCKS:
        ratios = [statistics.median(d[clock]) / statistics.median(o[clock])
                  for o, d in zip(results["ours"], results["diffusers"])]
        row[f"ratio_of_{clock}"] = {"median": statistics.median(ratios), "least": min(ratios), "most": max(ratios)}
    for side in SIDES:
        row[side] = {"peak_gib": max(r["peak_gib"] for r in results[side])}
        for clock in CLOCKS:
            row[side][f"median_{clock}"] = statistics.median(s for r in results[side] for s in r[clock])
            row[side][clock] = [r[clock] for r in results[side]]
    return row


def different_pictures(row):
    """Not the same work: no ratio would mean anything."""
    ours, theirs = row.get("mean_pixel", [0, 0])
    return abs(ours - theirs) > (0.5 if row["dtype"] == "float32" else 3)


def print_table(rows):
    print("| what | dtype | diffusers' engine | clock | ours, ms | diffusers, ms | ratio (range) | peak GiB, ours / diffusers |\n|---|---|---|---|---|---|---|---|")
    for row in rows:
        ours, theirs = (row[side] for side in SIDES)
        for clock, name in CLOCKS.items():
            ratio = row[f"ratio_of_{clock}"]
            print(f"| {row['what']} | {row['dtype']} | {row['engine']} | {name} | {1000 * ours[f'median_{clock}']:.1f} | {1000 * theirs[f'median_{clock}']:.1f} "
                  f"| {ratio['median']:.2f} ({ratio['least']:.2f} to {ratio['most']:.2f}) "
                  f"| {ours['peak_gib']:.2f} / {theirs['peak_gib']:.2f} |")


def compare_memory(args, flags):
    """Prints the memory and the time of a training step in each mode beside diffusers' as it comes; gives back the figures."""
    theirs = run("diffusers", "train_step", "float32", "eager", args, flags)
    rows = [{"mode": "diffusers, as it comes", **theirs}]
    for mode, (dtype, saving) in MEMORY_MODES.items():
        rows.append({"mode": mode, **run("ours", "train_step", dtype, "eager", args, [*flags, *saving])})
    print("| training step | ms | peak GiB | of diffusers' |\n|---|---|---|---|")
    for row in rows:
        print(f"| {row['mode']} | {1000 * statistics.median(row['seconds']):.0f} | {row['peak_gib']:.2f} | {row['peak_gib'] / theirs['peak_gib']:.2f} |")
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=pathlib.Path, help="a diffusers directory [models/mini; with --full, written anew]")
    parser.add_argument("--full", action="store_true", help="a model of Stable Diffusion 1.5's size")
    parser.add_argument("--device", default="cpu", help="cpu or cuda:N")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--dtype", nargs="+", default=["float32"], choices=["float32", "bfloat16"])
    parser.add_argument("--engine", nargs="+", default=["eager"], choices=ENGINES, help="execution backend of diffusers; openvino: sample_image on the CPU alone")
    parser.add_argument("--what", nargs="+", default=["train_step", "sample_image"], choices=["train_step", "sample_image"])
    parser.add_argument("--memory", action="store_true", help="compare the memory of a training step, in each mode that saves some")
    parser.add_argument("--batch-size", type=int, default=4, help="photos in a step, and as many class pictures (not with --full)")
    parser.add_argument("--steps", type=int, default=20, help="denoising steps of the picture [20]")
    parser.add_argument("--rounds", type=int, help="turns of each side (default: 5; 2 with --full)")
    parser.add_argument("--repetitions", type=int, help="measured in a round (default: 10; 2 steps, 1 picture with --full on the CPU)")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--json", type=pathlib.Path, help="file to write every figure to")
    args = parser.parse_args()
    if "openvino" in args.engine and (args.device != "cpu" or "sample_image" not in args.what):
        parser.error("--engine openvino is for sample_image on the CPU")
    args.rounds = args.rounds or (2 if args.full else 5)

    with tempfile.TemporaryDirectory() as scratch:
        train_flags, sample_flags = [f"--batch-size={args.batch_size}"], [f"--steps={args.steps}"]
        repetitions = {"train_step": 10, "sample_image": 10}
        if not args.full:
            args.model = args.model or ROOT / "models/mini"
        else:
            if not args.model:
                write_full_model(scratch)
                args.model = pathlib.Path(scratch) / "model"
            train_flags = ["--batch-size=1", "--no-text-encoder"]
            if args.device == "cpu":  # where each takes a minute
                train_flags, sample_flags = [*train_flags, "--warm-up=1"], [*sample_flags, "--warm-up=1"]
                repetitions = {"train_step": 2, "sample_image": 1}
        flags = {"train_step": train_flags, "sample_image": sample_flags}
        for what in flags:
            flags[what].append(f"--repetitions={args.repetitions or repetitions[what]}")
        if args.memory:
            rows = compare_memory(args, flags["train_step"])
        else:
            rows = [compare(what, dtype, engine, args, flags[what])
                    for dtype in args.dtype for engine in args.engine for what in args.what
                    if (what, engine) != ("train_step", "openvino")]
            print_table(rows)
    if args.json:
        args.json.write_text(json.dumps({
            "model": "sd15-size" if args.full else args.model.name, "device": args.device, "threads": args.threads, "steps": args.steps,
            "processor": platform.processor() or platform.machine(), "time": time.strftime("%Y-%m-%d"),
            "rows": rows}, indent=1) + "\n")
    for row in filter(different_pictures, rows):
        sys.exit(f"the pictures in {row['dtype']} differ from those of diffusers ({row['engine']}), mean pixel {row['mean_pixel']}: not the same work")


if __name__ == "__main__":
    main()
