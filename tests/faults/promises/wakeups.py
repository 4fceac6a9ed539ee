"""Whoever waits is told soon. Judged only where nothing was wrong with the server or with whoever waits."""
import bisect

from promises.facts import ENDED

GRACE = 2  # seconds on a busy machine; a lost wake-up costs as long as the call waits


def watchers_are_told_soon(facts):
    told = facts.first_told()
    for watch, entries in facts.watches.items():
        opened, seen, uid = None, 0, None
        for entry in entries:
            if entry["entry"] == "watch":
                opened, uid = entry["at"], entry["uid"]
                continue
            if entry["entry"] == "watched":  # the stream ended; what happened long before it was to be sent
                late = [event for event in facts.changes(uid) if event["seq"] > seen > 0]
            else:
                uid = entry["uid"]
                seen = max(seen, entry["seq"] or entry.get("position", 0))
                late = [entry] if entry["kind"] == "state_change" else []
            for event in late:
                known = max(told.get((uid, event["seq"]), entry["at"]), opened)
                if entry["at"] - known > GRACE and facts.is_quiet(known, entry["at"]):
                    yield (f"{watch} waited for event {event['seq']} of {uid}, {event['to']}, for {entry['at'] - known:.2f} s after "
                           f"others had been told")


def waits_end_with_the_job(facts):
    """WaitJob answers when the job ends, or when the time is up, and not before."""
    told = facts.first_told()
    for call in facts.replies("wait"):
        took = call["at"] - call["begun"]
        if call["state"] not in ENDED:
            if took < call["seconds"] - 0.05 and not facts.clock_moved(call["begun"], call["at"]):
                yield f"{call['process']} waited {call['seconds']} s for {call['uid']} and was answered {call['state']} after {took:.2f} s"
            continue
        known = max(told.get((call["uid"], call.get("seq")), call["at"]), call["begun"])
        if call["at"] - known > GRACE and facts.is_quiet(known, call["at"]):
            yield f"{call['process']} waited for {call['uid']} for {call['at'] - known:.2f} s after others had been told of its end"


def idle_workers_are_given_work(facts):
    """No worker's poll ends with nothing while a job waits that was there long before, and that a later poll is given."""
    leases = {(lease["uid"], lease["attempt"]): lease for lease in facts.leases()}
    unlimited = {entry["tenant"] for entry in facts.by_kind["quota"]
                 if entry.get("running") is None and entry.get("worker_seconds") is None}
    ready = []  # (when its creation was acknowledged, when its first lease was asked for, uid)
    for creation in facts.replies("create"):
        lease = leases.get((creation["uid"], 1))
        first = facts.next_change(creation["uid"], 1)
        if creation["tenant"] in unlimited and lease and first and first["seq"] == lease.get("seq"):
            ready.append((creation["at"], lease["begun"], creation["uid"]))
    ready.sort()
    for poll in facts.replies("acquire"):
        if poll["leased"]:
            continue
        last = bisect.bisect_left(ready, (poll["at"],))
        for created, asked, uid in ready[max(0, last - 100):last]:
            since = max(created, poll["begun"])
            waited = poll["at"] - since
            if waited > GRACE / 2 and asked >= poll["at"] and facts.is_quiet(since, poll["at"], poll["process"]):
                yield f"a poll of {poll['process']} ended with nothing while {uid} waited for {waited:.2f} s"


CHECKS = [watchers_are_told_soon, waits_end_with_the_job, idle_workers_are_given_work]
