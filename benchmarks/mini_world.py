"""The miniature model's world for benchmarks: its words, a service that runs it, and its measures."""
import contextlib
import itertools
import json
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN = pathlib.Path(os.environ.get("LIKENESS_BUILD_DIR", ROOT / "build/release")) / "bin"
MODEL = ROOT / "models/mini"

# As mini/captions.cc says them.
CLASSES = ["dog", "cat", "duck", "robot", "car", "boat", "teapot", "backpack"]
SCENES = {"snow": "in the snow", "jungle": "in the jungle", "beach": "on the beach",
          "cobblestones": "on a cobblestone street", "pink-fabric": "on top of pink fabric",
          "wooden-floor": "on top of a wooden floor", "city": "with a city in the background",
          "mountain": "with a mountain in the background", "blue-house": "with a blue house in the background",
          "purple-rug": "on top of a purple rug"}
COLOURS = ["red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white", "gray"]
ACCESSORIES = {"red-hat": "wearing a red hat", "black-top-hat": "wearing a black top hat",
               "rainbow-scarf": "wearing a rainbow scarf"}
WITH_A_NECK = ["dog", "cat", "duck", "robot"]


def run(*command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


@contextlib.contextmanager
def service(out, models=ROOT / "models", base="mini"):
    """A server and a worker on free ports of loopback, once they offer `base` (or any base model); their logs in `out`."""
    if not (BIN / "likeness-server").exists():
        raise SystemExit(f"{BIN} holds no likeness-server: build it (README.md), or name another build directory in LIKENESS_BUILD_DIR")
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    os.environ["LIKENESS_SERVER"] = f"127.0.0.1:{ports[0]}"
    state = out / "service"
    state.mkdir(parents=True, exist_ok=True)
    commands = [
        [BIN / "likeness-server", f"--listen=127.0.0.1:{ports[0]}", f"--metrics-listen=127.0.0.1:{ports[1]}",
         f"--data-dir={state / 'data'}"],
        [BIN / "likeness-worker", "serve", f"--models={models}", f"--cache-dir={state / 'cache'}",
         f"--metrics-address=127.0.0.1:{ports[2]}"],
    ]
    processes = [subprocess.Popen(list(map(str, c)), stderr=open(state / f"{i}.log", "w"))
                 for i, c in enumerate(commands)]
    try:
        for _ in range(200):
            offered = f'"baseModels/{base}"' if base else '"baseModels/'
            if offered in subprocess.run([BIN / "likeness", "models", "--json"], capture_output=True,
                                                 text=True).stdout:
                break
            if any(process.poll() is not None for process in processes):
                raise SystemExit((state / "0.log").read_text()[-2000:] + (state / "1.log").read_text()[-2000:])
            time.sleep(0.2)
        yield
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait()


def measure(pictures, through=None):
    flags = [f"--through={through}"] if through else []
    lines = run(BIN / "likeness-mini", "measure", f"--pictures={pictures}", "--json",
                f"--measures={ROOT / 'models/mini-eval'}", *flags)
    return [json.loads(line) for line in lines.splitlines()]


def dot(a, b):
    return sum(x * y for x, y in zip(a, b))


def mean_vector(rows):
    return [statistics.fmean(column) for column in zip(*(row["identity"] for row in rows))]


def spread(groups):
    """Diversity: one minus the mean cosine of all pairs within the groups; nothing without a pair."""
    pairs = [pair for group in groups for pair in itertools.combinations(group, 2)]
    return 1 - statistics.fmean(dot(a["identity"], b["identity"]) for a, b in pairs) if pairs else None


def draw_subject(subject_class, seed, photos, folder):
    run(BIN / "likeness-mini", "draw-subject", "--class", subject_class, "--seed", seed, "--photos", photos, "--out", folder)


def captioned(photos, caption, folder):
    """The photos with one caption for each beside them."""
    if not folder.exists():
        half_made = folder.with_name(f".{folder.name}.half-made")
        shutil.rmtree(half_made, ignore_errors=True)
        shutil.copytree(photos, half_made)
        for photo in list(half_made.iterdir()):
            photo.with_suffix(".txt").write_text(caption)
        half_made.rename(folder)
    return folder
