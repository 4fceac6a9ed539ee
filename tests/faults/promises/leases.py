"""Leases: who holds one, what its token is good for, and from which checkpoint it goes on."""
import collections

from promises.facts import RETRY

CALLS = ("heartbeat", "complete", "fail", "release")


def leases_are_exclusive(facts):
    """No two workers hold the same attempt, or the same token. One that was not heard of yet may be told again of its own."""
    attempts, tokens = {}, {}
    for call in facts.leases():
        for known, key, what in ((attempts, (call["uid"], call["attempt"]), "attempt"), (tokens, call["token"], "token")):
            if key in known and known[key]["process"] != call["process"]:
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
    for call in facts.leases():
        leases[call["uid"]].append((call["attempt"], call["at"]))
    given_up = collections.defaultdict(list)  # a worker may repeat that: the answer may have been lost
    for op in ("fail", "release"):
        for call in facts.may_have_happened(op):
            given_up[op, call["token"]].append(call["begun"])
    for op in CALLS:
        for call in facts.replies(op):
            if any(begun < call["begun"] for begun in given_up[op, call["token"]]):
                continue
            later = [attempt for attempt, known in leases[call["uid"]]
                     if attempt > call["attempt"] and known < call["begun"]]
            if later:
                yield (f"a {op} of {call['process']} under attempt {call['attempt']} of {call['uid']} was accepted after "
                       f"attempt {max(later)} had begun")


def leases_begin_at_the_last_checkpoint(facts):
    """A lease names the checkpoint of the last heartbeat before it that is stored. Only a retry may leave it out, if its blob
    could be gone by then."""
    of_line = {call["line"]: call["checkpoint"] for call in facts.calls["heartbeat"]}
    may_be_gone = facts.by_kind["collection"] or facts.damaged()
    for lease in facts.leases():
        events = facts.stored.get(lease["uid"], {})
        if lease["uid"] not in facts.jobs or lease.get("seq") not in events:
            continue
        before = [events[seq] for seq in sorted(events) if seq < lease["seq"]]
        expected, retried = "", False
        for event in before:
            if event["kind"] == "log" and of_line.get(event["line"]):
                expected, retried = of_line[event["line"]], False
            retried = retried or event.get("reason") == RETRY
        if lease["checkpoint"] != expected and not (retried and may_be_gone and not lease["checkpoint"]):
            yield (f"attempt {lease['attempt']} of {lease['uid']} was given the checkpoint \"{lease['checkpoint']}\"; the last "
                   f"one stored was \"{expected}\"")


CHECKS = [leases_are_exclusive, one_completion_is_accepted, stale_tokens_are_refused, leases_begin_at_the_last_checkpoint]
