"""Events: those that are stored, and those that watchers were sent."""
import collections

from promises.facts import ENDED


def acknowledged_news_is_stored(facts):
    """Every line that a worker was told is taken stands among the job's events, once."""
    lines = collections.Counter((uid, event["line"]) for uid, events in facts.stored.items()
                                for event in events.values() if event["kind"] == "log")
    for call in facts.replies("heartbeat"):
        if call["uid"] in facts.jobs and not lines[call["uid"], call["line"]]:
            yield f"\"{call['line']}\" was acknowledged and is not among the events of {call['uid']}"
    for (uid, line), count in lines.items():
        if count > 1:
            yield f"\"{line}\" stands {count} times among the events of {uid}"
    refused = {call["line"]: call for call in facts.replies("heartbeat", "refused")}
    for uid, line in lines:
        if line in refused:
            yield f"\"{line}\" was refused ({refused[line]['reason']}) and is among the events of {uid}"


def events_are_kept_without_gaps(facts):
    for uid, job in facts.jobs.items():
        events = facts.stored[uid]
        missing = sorted(set(range(1, max(events, default=0) + 1)) - set(events))
        # Of progress the latest is kept.
        missing = [seq for seq in missing if events[min(s for s in events if s > seq)]["kind"] != "progress"]
        if missing:
            yield f"of {uid} the events {missing[:10]} are missing"
        changes = facts.changes(uid)
        for before, after in zip(changes, changes[1:]):
            if before["to"] != after["from"]:
                yield f"{uid} went to {before['to']} and from {after['from']}"
        if changes and changes[-1]["to"] != job["state"]:
            yield f"{uid} is {job['state']}, and its last event says {changes[-1]['to']}"


def commits_are_in_one_order(facts):
    """A job's events are committed in their order; what was told before another call began was committed before it."""
    for uid, events in facts.stored.items():
        ordered = [events[seq] for seq in sorted(events)]
        for before, after in zip(ordered, ordered[1:]):
            if before["commit"] > after["commit"]:
                yield (f"of {uid} event {before['seq']} is commit {before['commit']} and event {after['seq']} is commit "
                       f"{after['commit']}")
    first_asked = facts.first_asked()
    for call in facts.replies("create"):
        event = facts.stored.get(call["uid"], {}).get(1)
        # A creation that is repeated answers with the job that was made by the first call.
        first = first_asked[call["operation"]]
        if event and event["commit"] <= facts.floor(first):
            yield f"{call['uid']} was created as commit {event['commit']}, after commit {facts.floor(first)} was told of"


def watches_are_gap_free(facts):
    """Each follower saw the events in order, each as it is stored; what it did not see is progress that a later one replaced."""
    for watch, entries in facts.watches.items():
        last, state = None, None
        for entry in entries:
            if entry["entry"] != "event":
                continue
            uid = entry["uid"]
            if entry["kind"] == "snapshot":
                state, last = entry["state"], entry.get("position", last)
            if not entry["seq"]:
                continue
            seq, stored = entry["seq"], facts.stored.get(uid, {})
            if last is not None and seq <= last:
                yield f"{watch} was sent event {seq} of {uid} after event {last}"
            if uid in facts.jobs:
                if seq not in stored and entry["kind"] != "progress":  # which may be replaced since
                    yield f"{watch} was sent event {seq} of {uid}, which is not stored"
                elif seq in stored and differences(entry, stored[seq]):
                    yield f"{watch} was sent event {seq} of {uid} with {differences(entry, stored[seq])}"
                for between in range((last or seq) + 1, seq):
                    if stored.get(between, {}).get("kind", "progress") != "progress":
                        yield f"{watch} was not sent event {between} of {uid}, a {stored[between]['kind']}"
            if entry["kind"] == "state_change":
                if state is not None and entry["from"] != state:
                    yield f"{watch} saw {uid} in {state} and then going from {entry['from']} to {entry['to']}"
                state = entry["to"]
            last = seq
        if entries[-1]["entry"] == "watched" and entries[-1]["result"] == "ok" and state is not None and state not in ENDED:
            yield f"{watch} ended well with {entries[-1]['uid']} in {state}"


def differences(sent, stored):
    return {key: (sent[key], stored.get(key)) for key in ("kind", "from", "to", "line", "attempt", "reason", "detail", "step")
            if key in sent and sent[key] != stored.get(key)}


def snapshots_are_of_one_moment(facts):
    """A watch's snapshot holds what led to the event after which it goes on, and nothing else."""
    for watch, entries in facts.watches.items():
        for entry in entries:
            if entry["entry"] != "event" or entry["kind"] != "snapshot" or "position" not in entry:
                continue
            changes = [event for event in facts.changes(entry["uid"]) if event["seq"] <= entry["position"]]
            if entry["uid"] not in facts.jobs or not changes:
                continue
            if (changes[-1]["seq"], changes[-1]["to"]) != (entry["shown"], entry["state"]):
                yield (f"{watch} was sent {entry['uid']} as of event {entry['shown']}, {entry['state']}, and goes on after event "
                       f"{entry['position']}, before which it was {changes[-1]['to']} since event {changes[-1]['seq']}")


CHECKS = [acknowledged_news_is_stored, events_are_kept_without_gaps, commits_are_in_one_order, watches_are_gap_free,
          snapshots_are_of_one_moment]
