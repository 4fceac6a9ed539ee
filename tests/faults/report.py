"""What a campaign came to, in words and as one JSON file."""
import collections
import json


def recoveries_of_jobs(entries):
    """Seconds from the kill of a worker that held a lease to the next lease of the same job."""
    held, waiting, seconds = {}, {}, []
    for entry in entries:
        if entry["entry"] == "reply" and entry["op"] == "acquire" and entry.get("leased"):
            if entry["uid"] in waiting:
                seconds.append(entry["at"] - waiting.pop(entry["uid"]))
            held[entry["process"]] = entry["uid"]
        elif entry["entry"] == "reply" and entry["op"] in ("complete", "fail", "release") and entry["result"] != "unknown":
            held.pop(entry["process"], None)
        elif entry["entry"] == "fault" and entry["kind"] == "kill worker" and entry["worker"] in held:
            waiting[held.pop(entry["worker"])] = entry["at"]
    return seconds


def percentiles(seconds):
    if not seconds:
        return "none measured"
    ordered = sorted(seconds)
    at = lambda share: ordered[min(len(ordered) - 1, int(len(ordered) * share))]  # noqa: E731
    return f"p50 {at(0.5):.2f} s, p99 {at(0.99):.2f} s (of {len(ordered)})"


def summarize(seed, troubles, entries, violations, seconds):
    calls = collections.defaultdict(collections.Counter)
    refusals = collections.defaultdict(collections.Counter)
    for entry in entries:
        if entry["entry"] == "reply":
            calls[entry["op"]][entry["result"]] += 1
            if entry["result"] == "refused":
                refusals[entry["op"]][entry["reason"]] += 1
    kinds = collections.Counter(entry["entry"] for entry in entries)
    states = collections.Counter(entry["state"][10:].lower() for entry in entries if entry["entry"] == "job")
    return {
        "seed": seed, "seconds": round(seconds), "violations": violations,
        "faults": {kind: count for kind, count in sorted(troubles.counts.items()) if kind != "heals"},
        "skipped": troubles.skipped,
        "calls": {op: dict(results) for op, results in sorted(calls.items())},
        "refusals": {op: dict(reasons.most_common()) for op, reasons in sorted(refusals.items())},
        "jobs at the end": dict(sorted(states.items())), "events watched": kinds["event"],
        "events on pages": kinds["change"], "webhook calls": kinds["called"],
        "server, from its kill to its first answer": percentiles(troubles.recoveries),
        "job, from its worker's kill to its next lease": percentiles(recoveries_of_jobs(entries))}


def show(summary, file=None):
    for op, results in summary["calls"].items():
        reasons = ", ".join(f"{count} {reason}" for reason, count in summary["refusals"].get(op, {}).items())
        print(f"  {op}: " + ", ".join(f"{results.get(result, 0)} {result}" for result in ("ok", "refused", "unknown")) +
              (f" ({reasons})" if reasons else ""))
    for what in ("jobs at the end", "faults"):
        print(f"  {what}: " + ", ".join(f"{count} {kind}" for kind, count in summary[what].items()))
    for what in ("events watched", "events on pages", "webhook calls", "server, from its kill to its first answer",
                 "job, from its worker's kill to its next lease"):
        print(f"  {what}: {summary[what]}")
    print(f"  {summary['seconds']} s, seed {summary['seed']}, {len(summary['violations'])} violations")
    for violation in summary["violations"][:50]:
        print(f"VIOLATION: {violation}")
    if file:
        file.write_text(json.dumps(summary, indent=1) + "\n")
