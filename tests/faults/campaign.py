"""Random work under random faults, and a check of every promise afterwards.

Clients and workers in processes of their own make real calls to a real likeness-server, while processes are killed and
stopped, workers are cut off from the network, the disk is filled, hangs, is damaged and loses what was not synced, and the
clock is moved. Everything that was asked and answered is written down; checker.py holds it against what the server kept. The
faults are a function of the seed.

    tests/faults/campaign.py --kills 1000 --seed 7      1,000 kills of the server and 1,000 of workers
    tests/faults/campaign.py --seconds 30               as many faults as fall into so much time
    tests/faults/campaign.py --seconds 30 --collect     while blobs that no job names are removed
"""
import argparse
import pathlib
import shutil
import sys
import time

FOLDER = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(FOLDER), str(FOLDER.parent / "e2e")]
import checker  # noqa: E402
import report  # noqa: E402
import service  # noqa: E402
from stage import Stage  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=0, help="end after so many kills of the server and as many of workers")
    parser.add_argument("--seconds", type=float, default=0, help="end after so much time")
    parser.add_argument("--server", default=service.BIN / "likeness-server", help="the program [that of the build folder]")
    parser.add_argument("--pace", type=float, default=1, help="stretches the actors' pauses, for a busy machine")
    parser.add_argument("--collect", action="store_true",
                        help="the server removes blobs that no job names after a minute; the clock stays as it is")
    parser.add_argument("--damage", action="store_true",
                        help="afterwards, bits of copies of the database are turned over, and a server is asked what it finds")
    parser.add_argument("--keep", help="a folder for histories and logs, which then stays")
    parser.add_argument("--summary", type=pathlib.Path, help="a JSON file for what it came to")
    parser.add_argument("--until-violation", action="store_true",
                        help="run again and again, with the next seeds, until promises were broken; fails if none was in --seconds")
    arguments = parser.parse_args()
    if not arguments.kills and not arguments.seconds:
        arguments.seconds = 30
    sys.exit(until_violation(arguments) if arguments.until_violation else bool(once(arguments)))


def once(arguments):
    begun = time.monotonic()
    stage = Stage(arguments)
    ended = False
    try:
        broken = stage.run_to_the_end(arguments.kills, arguments.seconds or float("inf"))
        entries = stage.entries()
        violations = broken or checker.check(entries)
        report.show(report.summarize(arguments.seed, stage.troubles, entries, violations, time.monotonic() - begun),
                    arguments.summary)
        ended = not violations
    finally:
        stage.close()
        if ended and not arguments.keep:
            shutil.rmtree(stage.directory)
        else:
            print(f"  histories and logs: {stage.directory}", flush=True)
    return violations


def until_violation(arguments):
    """For servers with a planted bug."""
    begun = time.monotonic()
    limit = arguments.seconds
    arguments.seconds = min(limit, 20)
    while time.monotonic() - begun < limit:
        if once(arguments):
            print(f"caught after {time.monotonic() - begun:.0f} s")
            return 0
        arguments.seed += 1
    print(f"NOT caught within {limit:.0f} s")
    return 1


if __name__ == "__main__":
    main()
