"""Holds what a campaign's actors were told against what the server kept: every promise of the API that faults must not break.

A history is a list of entries in order of time (history.py). It ends with what was found once all was quiet:
  {"entry": "job"}      a job that is there, with its outputs and label "operation"
  {"entry": "stored"}   an event of it: seq, kind and the facts of its kind
  {"entry": "blob"}     a blob's name and the digest of its bytes ("" where it is missing)

At its beginning stands how the server was set up:
  {"entry": "quota"}       how many jobs of a tenant may be pending, and running
  {"entry": "collection"}  it removes blobs that no job names

Each check is a function of the history and returns a sentence for each promise that was broken.
"""
import collections
import sys

ENDED = {"JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED"}
LEASE_CALLS = ("heartbeat", "complete", "fail", "release")


class Facts:
    """A history, sorted by what is asked of it."""

    def __init__(self, entries):
        self.entries = entries
        self.begun = {}  # call: when it was made
        self.calls = collections.defaultdict(list)  # op: what is known of each of its calls
        self.jobs, self.stored, self.blobs = {}, collections.defaultdict(dict), {}
        self.watches = collections.defaultdict(list)
        self.drawings, self.drawn = [], []
        answered = set()
        for entry in entries:
            match entry["entry"]:
                case "call":
                    self.begun[entry["call"]] = entry["at"]
                case "reply":
                    answered.add(entry["call"])
                    at = entry["at"] if entry["result"] != "unknown" else float("inf")  # it may be under way yet
                    self.calls[entry["op"]].append({**entry, "begun": self.begun[entry["call"]], "at": at})
                case "job":
                    self.jobs[entry["uid"]] = entry
                case "stored":
                    self.stored[entry["uid"]][entry["seq"]] = entry
                case "blob":
                    self.blobs[entry["blob"]] = entry["digest"]
                case "watch" | "event" | "watched":
                    self.watches[entry["watch"]].append(entry)
                case "drawing":
                    self.drawings.append(entry)
                case "drawn":
                    self.drawn.append(entry)
        for entry in entries:  # whoever asked was killed before the answer came
            if entry["entry"] == "call" and entry["call"] not in answered:
                self.calls[entry["op"]].append(
                    {**entry, "begun": entry["at"], "at": float("inf"), "result": "unknown"})

    def replies(self, op, *results):
        return [call for call in self.calls[op] if call["result"] in (results or ("ok",))]

    def may_have_happened(self, op):
        return self.replies(op, "ok", "unknown")

    def seen_jobs(self):
        """Jobs whose existence somebody was told: uid, name, and when it was first known."""
        seen = {}
        for call in self.calls["create"] + self.calls["acquire"]:
            if call["result"] == "ok" and call.get("uid"):
                seen.setdefault(call["uid"], call)
        for entry in self.drawings:
            seen.setdefault(entry["uid"], entry)
        return seen


def acknowledged_jobs_survive(facts):
    deletions = collections.defaultdict(list)
    for call in facts.may_have_happened("delete"):
        deletions[call["name"]].append(call)
    for uid, told in facts.seen_jobs().items():
        if uid in facts.jobs:
            continue
        # A deletion that was answered before the job was known deleted another one of that name.
        if not any(call["at"] > told.get("begun", told["at"]) for call in deletions[told["name"]]):
            yield f"{told['name']} ({uid}) was acknowledged to {told['process']} and is gone"


def acknowledged_deletions_last(facts):
    for call in facts.replies("delete"):
        if call["about"] in facts.jobs:
            yield f"{call['name']} ({call['about']}) is there, although its deletion was acknowledged"


def nothing_happens_twice(facts):
    """One job for each creation, however often it was asked for; as many other changes as were asked for."""
    of_operation = collections.Counter(job["operation"] for job in facts.jobs.values() if job["operation"])
    for operation, count in of_operation.items():
        if count > 1:
            yield f"the creation {operation} made {count} jobs"
    retries = collections.defaultdict(list)
    for call in facts.may_have_happened("retry"):
        retries[call["name"]].append(call)
    for uid, events in facts.stored.items():
        put_back = sum(event.get("reason") == "retried by the client" for event in events.values())
        asked = len(retries[facts.jobs[uid]["name"]]) if uid in facts.jobs else put_back
        if put_back > asked:
            yield f"{uid} was put back {put_back} times and asked to be {asked} times"


def refused_creations_made_nothing(facts):
    perhaps = {call["operation"] for call in facts.may_have_happened("create")}
    for call in facts.replies("create", "refused"):
        if call["operation"] in perhaps:
            continue
        made = [job["uid"] for job in facts.jobs.values() if job["operation"] == call["operation"]]
        if made:
            yield f"the creation {call['operation']} was refused ({call['reason']}) and made {made}"


def request_ids_are_idempotent(facts):
    by_id = collections.defaultdict(list)
    for call in facts.replies("create"):
        if call["request_id"]:
            by_id[call["request_id"]].append(call)
    deleted = {call.get("about") for call in facts.may_have_happened("delete")}
    deleted_names = {call["name"] for call in facts.may_have_happened("delete")}
    for request_id, calls in by_id.items():
        for first, later in zip(calls, calls[1:]):
            gone = first["uid"] in deleted or first["name"] in deleted_names
            if first["uid"] != later["uid"] and not gone:
                yield f"the request id {request_id} was answered with {first['uid']}, then with {later['uid']}"


def leases_are_exclusive(facts):
    """No two workers hold the same attempt, or the same token."""
    attempts, tokens = {}, {}
    for call in facts.replies("acquire"):
        if not call["leased"]:
            continue
        for known, key, what in ((attempts, (call["uid"], call["attempt"]), "attempt"), (tokens, call["token"], "token")):
            if key in known:
                yield f"{known[key]['process']} and {call['process']} were leased the same {what}: {key}"
            known[key] = call


def one_completion_is_accepted(facts):
    accepted = collections.defaultdict(dict)
    for call in facts.replies("complete"):
        accepted[call["uid"]][call["token"]] = call
    for uid, by_token in accepted.items():
        if len(by_token) > 1:
            yield f"{uid} was completed {len(by_token)} times: by {sorted(c['process'] for c in by_token.values())}"
        job = facts.jobs.get(uid)
        if not job:
            continue
        if job["state"] != "JOB_STATE_SUCCEEDED":
            yield f"{uid} is {job['state']}, although its completion was acknowledged"
        elif not any(sorted(call["outputs"]) == sorted(job["outputs"]) for call in by_token.values()):
            yield f"{uid} has other outputs than those of the completion that was acknowledged"
    for uid, job in facts.jobs.items():
        ends = [event for event in facts.stored[uid].values() if event.get("to") == "JOB_STATE_SUCCEEDED"]
        if len(ends) > 1:
            yield f"{uid} succeeded {len(ends)} times"
        if (job["state"] == "JOB_STATE_SUCCEEDED") != (len(ends) == 1):
            yield f"{uid} is {job['state']} with {len(ends)} events of success"


def stale_tokens_are_refused(facts):
    """Once somebody was told of a later attempt, nothing is accepted under an earlier one's token."""
    leases = collections.defaultdict(list)
    for call in facts.replies("acquire"):
        if call["leased"]:
            leases[call["uid"]].append((call["attempt"], call["at"]))
    given_up = collections.defaultdict(list)  # a worker may repeat that: the answer may have been lost
    for op in ("fail", "release"):
        for call in facts.may_have_happened(op):
            given_up[op, call["token"]].append(call["begun"])
    for op in LEASE_CALLS:
        for call in facts.replies(op):
            if any(begun < call["begun"] for begun in given_up[op, call["token"]]):
                continue
            later = [attempt for attempt, known in leases[call["uid"]]
                     if attempt > call["attempt"] and known < call["begun"]]
            if later:
                yield (f"a {op} of {call['process']} under attempt {call['attempt']} of {call['uid']} was accepted after "
                       f"attempt {max(later)} had begun")


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


def cancelled_jobs_do_not_succeed(facts):
    retried = collections.defaultdict(list)
    for call in facts.may_have_happened("retry"):
        retried[call["name"]].append(call["at"])
    for call in facts.replies("cancel"):
        job = facts.jobs.get(call["uid"])
        if job and job["state"] == "JOB_STATE_SUCCEEDED" and not any(at > call["begun"] for at in retried[call["name"]]):
            yield f"{call['name']} ({call['uid']}) succeeded, although its cancellation was acknowledged"
    for uid, events in facts.stored.items():
        for event in events.values():
            if event.get("from") == "JOB_STATE_CANCELLING" and event["to"] != "JOB_STATE_CANCELLED":
                yield f"{uid} went from CANCELLING to {event['to']}"


def events_are_kept_without_gaps(facts):
    for uid, job in facts.jobs.items():
        events = facts.stored[uid]
        missing = sorted(set(range(1, max(events, default=0) + 1)) - set(events))
        # Of progress the latest is kept.
        missing = [seq for seq in missing if events[min(s for s in events if s > seq)]["kind"] != "progress"]
        if missing:
            yield f"of {uid} the events {missing[:10]} are missing"
        changes = [events[seq] for seq in sorted(events) if events[seq]["kind"] == "state_change"]
        for before, after in zip(changes, changes[1:]):
            if before["to"] != after["from"]:
                yield f"{uid} went to {before['to']} and from {after['from']}"
        if changes and changes[-1]["to"] != job["state"]:
            yield f"{uid} is {job['state']}, and its last event says {changes[-1]['to']}"


def watches_are_gap_free(facts):
    """Each follower saw the events in order, each as it is stored; what it did not see is progress that a later one replaced."""
    for watch, entries in facts.watches.items():
        last, state = None, None
        for entry in entries:
            if entry["entry"] != "event":
                continue
            uid = entry["uid"]
            if entry["kind"] == "snapshot":
                state = entry["state"]
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
    return {key: (sent[key], stored.get(key)) for key in ("kind", "from", "to", "line", "attempt", "reason")
            if key in sent and sent[key] != stored.get(key)}


def artefacts_equal_their_digests(facts):
    for blob, digest in facts.blobs.items():
        if digest != blob.rsplit("/", 1)[1]:
            yield f"{blob} is missing" if not digest else f"{blob} has the digest {digest}"
    for call in facts.replies("read") + facts.replies("read checkpoint"):
        if call["digest"] != call["blob"].rsplit("/", 1)[1]:
            yield f"{call['process']} read {call['blob']} and got bytes with the digest {call['digest']}"
    for call in facts.replies("read checkpoint", "refused"):
        if call["reason"] == "BLOB_NOT_FOUND":
            yield f"{call['process']} was leased a job with the checkpoint {call['blob']}, which is missing"
    for drawn in facts.drawn:
        for blob, digest in drawn["pictures"]:
            if digest != blob.rsplit("/", 1)[1]:
                yield f"{drawn['operation']} was sent {blob} with the digest {digest}"
    for uid, job in facts.jobs.items():
        for blob in job["outputs"] + job.get("photos", []):
            if blob not in facts.blobs:
                yield f"{blob} of {uid} was not looked at"
    collected = any(entry["entry"] == "collection" for entry in facts.entries)  # what no job names may be gone
    for call in facts.replies("upload"):
        if call["blob"] not in facts.blobs and not collected:
            yield f"{call['blob']}, whose upload was acknowledged, was not looked at"


def pictures_come_from_jobs_that_succeeded(facts):
    for drawn in facts.drawn:
        job = facts.jobs.get(drawn.get("uid"))
        if drawn["result"] == "ok" and job and job["state"] != "JOB_STATE_SUCCEEDED":
            yield f"{drawn['operation']} ended well, and {drawn['uid']} is {job['state']}"
        if drawn["result"] == "ok" and job and sorted(blob for blob, _ in drawn["pictures"]) != sorted(job["outputs"]):
            yield f"{drawn['operation']} was sent other pictures than those of {drawn['uid']}"


def quotas_are_kept(facts):
    """So many may wait when one more is created or put back, and so many may be with workers at one time. Jobs that were
    deleted are not counted, so this may see less than there was."""
    limits = [entry for entry in facts.entries if entry["entry"] == "quota"]
    if not limits:
        return
    changes = sorted((event["committed"], uid, seq, event["from"], event["to"], event.get("reason", ""))
                     for uid, events in facts.stored.items() for seq, event in events.items()
                     if event["kind"] == "state_change")
    count = collections.Counter()
    for _, uid, _, before, after, reason in changes:
        count[before] -= 1
        count[after] += 1
        asked = reason in ("created", "retried by the client")
        if asked and count["JOB_STATE_PENDING"] > limits[0]["pending"]:
            yield f"{uid} was {reason} as number {count['JOB_STATE_PENDING']}; {limits[0]['pending']} may wait"
        held = count["JOB_STATE_RUNNING"] + count["JOB_STATE_CANCELLING"]
        if after == "JOB_STATE_RUNNING" and held > limits[0]["running"]:
            yield f"{uid} was leased as number {held}; {limits[0]['running']} may run"


def everything_ends(facts):
    for uid, job in facts.jobs.items():
        if job["state"] not in ENDED:
            yield f"{job['name']} ({uid}) is still {job['state']}, long after all was well again"


CHECKS = [acknowledged_jobs_survive, acknowledged_deletions_last, nothing_happens_twice, refused_creations_made_nothing,
          request_ids_are_idempotent, leases_are_exclusive, one_completion_is_accepted, stale_tokens_are_refused,
          acknowledged_news_is_stored, cancelled_jobs_do_not_succeed, events_are_kept_without_gaps, watches_are_gap_free,
          artefacts_equal_their_digests, pictures_come_from_jobs_that_succeeded, quotas_are_kept, everything_ends]


def check(entries, checks=None):
    """Every broken promise, as "name of the check: sentence"."""
    facts = Facts(entries)
    return [f"{one.__name__}: {sentence}" for one in checks or CHECKS for sentence in one(facts)]


if __name__ == "__main__":
    import history
    violations = check(history.read(sys.argv[1:]))
    print("\n".join(violations) or "no violation")
    sys.exit(bool(violations))
