"""Many jobs one after the other, each with a line in a file: what was stopped goes on where it was."""
import contextlib
import json
import statistics
import sys
import time


def do_all(record, key_fields, wanted, do, told, serving):
    """(rows, failed): every row of the file `record`, by the values of `key_fields`, after those of `wanted`, {key: job}, that had
    none were done, within the context `serving`; and what became of those that failed.

    do(job) gives a row or raises RuntimeError; told are the columns that the line of progress shows. What is left is told from the
    jobs with the same first field."""
    lines = record.read_text().splitlines() if record.exists() else []
    rows = {tuple(row[field] for field in key_fields): row for row in map(json.loads, lines)}
    missing = [key for key in wanted if key not in rows]
    failed, took, started = [], {}, time.monotonic()
    with serving if missing else contextlib.nullcontext():
        for number, key in enumerate(missing, 1):
            name = f"{number}/{len(missing)}  {key[0]}, {key[1]}, seed {key[2]}"
            begun = time.monotonic()
            try:
                row = do(wanted[key])
            except RuntimeError as error:
                failed.append(str(error))
                print(f"{name}: {error}", file=sys.stderr, flush=True)
                continue
            row["seconds"] = round(time.monotonic() - begun, 1)
            rows[key] = row
            with open(record, "a") as file:
                file.write(json.dumps(row) + "\n")
            took.setdefault(key[0], []).append(row["seconds"])
            mean = statistics.fmean(value for values in took.values() for value in values)
            left = sum(statistics.fmean(took.get(other[0], [mean])) for other in missing[number:])
            figures = ", ".join(f"{column} {row[column]:.3f}" for column in told if column in row)
            print(f"{name}: {figures} ({row['seconds']:.0f} s; {(time.monotonic() - started) / 60:.0f} min gone, "
                  f"about {left / 60:.0f} left)", file=sys.stderr, flush=True)
    if failed:
        print(f"{len(failed)} of {len(missing)} jobs failed; run the same command again to do them again", file=sys.stderr)
    return rows, failed
