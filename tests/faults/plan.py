"""The faults of a campaign, without end: a function of the seed alone."""
import collections
import random

LEASE = 0.8  # seconds that a lease lasts
WORKERS = 4

Fault = collections.namedtuple("Fault", "pause kind target seconds amount")

WEIGHTS = {"kill server": 33, "kill worker": 33, "stop worker": 12, "stop server": 3, "cut worker": 10, "fill disk": 4,
           "move clock": 5, "collect": 10, "damage blob": 4, "lose power": 6, "hang disk": 3}


def faults(seed):
    rng = random.Random(f"faults {seed}")
    while True:
        kind = rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        # Most steps of a clock are small; some are an hour or a day, there and back.
        amount = rng.choice([-3, 3, -2, 2, -10, 10, 3600, -3600, 86400]) if kind == "move clock" else rng.random()
        # Once in a while nothing happens for long enough to see whoever waits being told in time.
        pause = rng.uniform(0.05, 0.35) if rng.random() < 0.985 else 12
        yield Fault(pause, kind, rng.randrange(WORKERS), rng.uniform(0.5, 4) * LEASE, amount)
