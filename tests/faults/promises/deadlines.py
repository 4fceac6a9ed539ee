"""Time limits of jobs: neither earlier than asked for, nor much later."""
from promises.facts import EXECUTION_TIMEOUT, QUEUE_TIMEOUT

LATE = 1.5  # seconds: the server looks every quarter of a second
EARLY = 0.05


def limited(facts, which):
    """(creation, seconds) of the jobs with that limit."""
    for call in facts.replies("create"):
        if call.get(which):
            yield call, call[which]


def queue_limits_are_kept(facts):
    leases = {(lease["uid"], lease["attempt"]): lease for lease in facts.leases()}
    told, first_asked = facts.first_told(), facts.first_asked()
    for creation, seconds in limited(facts, "queue_limit"):
        uid = creation["uid"]
        first = facts.next_change(uid, 1)
        if not first:
            continue
        lease = leases.get((uid, 1)) if first["to"] == "JOB_STATE_RUNNING" else None
        if lease and lease["begun"] - creation["at"] > seconds + LATE and facts.is_quiet(creation["at"], lease["at"]):
            yield f"{uid} was leased after {lease['begun'] - creation['at']:.2f} s in the queue; it wanted to wait {seconds} s"
        known = told.get((uid, first["seq"]))
        begun = first_asked[creation["operation"]]
        if first.get("reason") == QUEUE_TIMEOUT and known and known - begun < seconds - EARLY and \
                not facts.clock_moved(begun - 1, known):
            yield f"{uid} had waited too long after {known - begun:.2f} s; it wanted to wait {seconds} s"


def asked_since(facts, lease):
    """When it was asked for what became this lease: calls before it whose answers were lost may have been granted it."""
    begun = lease["begun"]
    for call in sorted(facts.calls["acquire"], key=lambda call: call["begun"], reverse=True):
        if call["process"] == lease["process"] and call["begun"] < begun:
            if call["result"] != "unknown":
                break
            begun = call["begun"]
    return begun


def run_limits_are_kept(facts):
    told = facts.first_told()
    limits = {creation["uid"]: seconds for creation, seconds in limited(facts, "run_limit")}
    leases = {}
    for lease in facts.leases():
        leases.setdefault(lease["uid"], []).append(lease)
    for call in facts.replies("heartbeat"):
        lease = next((lease for lease in leases.get(call["uid"], ()) if lease["token"] == call["token"]), None)
        if not lease or call["uid"] not in limits:
            continue
        ran = call["begun"] - lease["at"]
        if ran > limits[call["uid"]] + LATE and facts.is_quiet(lease["at"], call["at"], call["process"]):
            yield f"{call['uid']} went on after {ran:.2f} s; it may run for {limits[call['uid']]} s"
    for uid, seconds in limits.items():
        for event in facts.changes(uid):
            known = told.get((uid, event["seq"]))
            if event.get("reason") != EXECUTION_TIMEOUT or not known or not leases.get(uid):
                continue
            begun = asked_since(facts, leases[uid][0])
            if leases[uid][0]["attempt"] == 1 and known - begun < seconds - EARLY and not facts.clock_moved(begun - 1, known):
                yield f"{uid} had run too long {known - begun:.2f} s after it was leased; it may run for {seconds} s"


CHECKS = [queue_limits_are_kept, run_limits_are_kept]
