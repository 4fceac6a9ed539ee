"""Runs the fuzz targets for a while and says what they reached: executions, findings, and coverage of our own files.

    cmake --preset fuzz && cmake --build --preset fuzz         clang, libFuzzer, AddressSanitizer and UBSan
    tests/fuzz/fuzz.py                                         every target, 30 minutes or 5 million inputs, two at a time
    tests/fuzz/fuzz.py jobs tokens --minutes 1                 two of them
    tests/fuzz/fuzz.py --coverage                              only what the inputs found so far reach

The inputs found so far are kept in --work, and the next run begins with them. A finding stays there too, in TARGET/findings: make
it an input of tests/fuzz/corpus when it is mended, and a test replays it from then on.
"""
import argparse
import collections
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys

FOLDER = pathlib.Path(__file__).resolve().parent
ROOT = FOLDER.parents[1]
OURS = ("client", "common", "server", "worker")
# Stores that are made for each input lie in memory where the system has such a place: fsync costs nothing there.
ENVIRONMENT = dict(os.environ, TMPDIR="/dev/shm") if os.access("/dev/shm", os.W_OK) else os.environ
FUNCTION = re.compile(r"^(UN)?COVERED_FUNC: hits: \d+ edges: (\d+)/(\d+) (.*) (/\S+):\d+$", re.M)


def command(target, arguments, *flags):
    corpus = arguments.work / target / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    return [arguments.programs / f"{target}_fuzz", *flags, corpus, FOLDER / "corpus" / target]


def run(target, arguments):
    """Whether one target found nothing."""
    findings = arguments.work / target / "findings"
    findings.mkdir(parents=True, exist_ok=True)
    log = arguments.work / target / "log"
    with open(log, "wb") as out:
        ended = subprocess.run(command(target, arguments, f"-max_total_time={int(arguments.minutes * 60)}",
                                       f"-runs={arguments.runs}", "-timeout=30", "-print_final_stats=1",
                                       f"-artifact_prefix={findings}/"), stdout=out, stderr=out, env=ENVIRONMENT)
    executed = re.findall(r"stat::number_of_executed_units: (\d+)", log.read_text(errors="replace"))
    print(f"{target}: {int(executed[-1]) if executed else 0:,} inputs" + (f", ENDED WITH A FINDING: {log}" if ended.returncode else ""),
          flush=True)
    return ended.returncode == 0


def coverage_of(target, arguments):
    """Of each function of ours: (edges reached, edges), by (file, name)."""
    said = subprocess.run(command(target, arguments, "-runs=0", "-print_coverage=1"), capture_output=True, text=True,
                          errors="replace", env=dict(ENVIRONMENT, ASAN_SYMBOLIZER_PATH=arguments.symbolizer)).stderr
    functions = {}
    for _, reached, edges, name, path in FUNCTION.findall(said):
        path = pathlib.Path(os.path.normpath(path))
        if path.is_relative_to(ROOT) and path.relative_to(ROOT).parts[0] in OURS and path.suffix == ".cc":
            key = str(path.relative_to(ROOT)), name
            functions[key] = max(functions.get(key, (0, 0)), (int(reached), int(edges)))
    return functions


def report(targets, arguments):
    """By file: of the functions that some target links, how many any target reached; edges as the best target did."""
    best = {}
    for target in targets:
        for key, counts in coverage_of(target, arguments).items():
            best[key] = max(best.get(key, (0, 0)), counts)
    files = collections.defaultdict(list)
    for (path, _), counts in best.items():
        files[path].append(counts)
    print(f"{'file':56}{'functions':>12}{'edges':>14}")
    for path in sorted(files):
        counts = files[path]
        reached = [sum(edges) for edges in zip(*counts)]
        if reached[0]:
            print(f"{path:56}{sum(bool(count[0]) for count in counts):5} of {len(counts):3}{reached[0]:6} of {reached[1]:5}")
    untouched = [path for path, counts in files.items() if not any(count[0] for count in counts)]
    print(f"linked, and not reached: {', '.join(sorted(untouched)) or 'none'}")


def main():
    every = sorted(path.name for path in (FOLDER / "corpus").iterdir())
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"[all: {', '.join(every)}]")
    parser.add_argument("--minutes", type=float, default=30, help="of each target [30]")
    parser.add_argument("--runs", type=int, default=5_000_000, help="inputs of each target, if they are done before [5000000]")
    parser.add_argument("--at-a-time", type=int, default=2, help="targets side by side [2]")
    parser.add_argument("--work", type=pathlib.Path, default=ROOT / "build/fuzz/work", help="what is found [build/fuzz/work]")
    parser.add_argument("--programs", type=pathlib.Path, default=ROOT / "build/fuzz/tests/fuzz", help="[build/fuzz/tests/fuzz]")
    parser.add_argument("--symbolizer", default="/usr/bin/llvm-symbolizer-14", help="for coverage [%(default)s]")
    parser.add_argument("--coverage", action="store_true", help="run nothing")
    arguments = parser.parse_args()
    targets = arguments.targets or every
    if unknown := set(targets) - set(every):
        parser.error(f"there is no target {', '.join(sorted(unknown))}; {', '.join(every)} are allowed")
    good = True
    if not arguments.coverage:
        with concurrent.futures.ThreadPoolExecutor(arguments.at_a_time) as pool:
            good = all(list(pool.map(lambda target: run(target, arguments), targets)))
    report(targets, arguments)
    sys.exit(not good)


if __name__ == "__main__":
    main()
