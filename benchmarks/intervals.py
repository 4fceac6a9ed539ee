"""How sure a mean over subjects is."""
import random
import statistics


def interval(rows, key, rounds=2000):
    """Mean and 95 % bootstrap interval, resampling subjects: jobs of one subject are not independent."""
    by_subject = {}
    for row in rows:
        by_subject.setdefault(row["subject"], []).append(row[key])
    means = [statistics.fmean(values) for values in by_subject.values()]
    draw = random.Random(0)
    drawn = sorted(statistics.fmean(draw.choices(means, k=len(means))) for _ in range(rounds))
    return statistics.fmean(means), drawn[int(0.025 * rounds)], drawn[int(0.975 * rounds) - 1]


def cell(rows, key, digits=3):
    """Of a table: "0.842 (0.794 to 0.886)", of the rows that have the key; empty where none has."""
    told = [row for row in rows if key in row]
    return "{:.{d}f} ({:.{d}f} to {:.{d}f})".format(*interval(told, key), d=digits) if told else ""
