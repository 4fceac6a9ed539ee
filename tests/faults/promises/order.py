"""The queue: of a tenant's jobs the more urgent ones go first, and among equals those that came first."""
from names import tenant_of
from promises.facts import CREATION, RETRY

IMMEDIATE = (CREATION, RETRY)  # waits for nothing but a worker from its commit on


def urgent_jobs_go_first(facts):
    """Looked at by the order of commits. Jobs whose wait a moved clock may have changed are not judged."""
    tenant = {uid: tenant_of(job["name"]) for uid, job in facts.jobs.items()}
    asked = {}
    for call in sorted(facts.replies("create") + facts.replies("retry"), key=lambda call: call["begun"]):
        if "seq" in call:
            asked.setdefault((call["uid"], call["seq"]), call["begun"])
    leased = {(lease["uid"], lease["seq"]): lease["at"] for lease in facts.leases() if "seq" in lease}
    waiting = {}  # uid: the event since which it can be leased
    for event in facts.commits:
        if event["kind"] != "state_change" or event["uid"] not in tenant:
            continue
        uid = event["uid"]
        since = waiting.pop(uid, None)
        if event["to"] == "JOB_STATE_PENDING" and event.get("reason") in IMMEDIATE and (uid, event["seq"]) in asked:
            waiting[uid] = event
        at = leased.get((uid, event["seq"]))
        if event["to"] != "JOB_STATE_RUNNING" or at is None:
            continue
        mine = facts.jobs[uid]["priority"]
        for other, event_of_other in waiting.items():
            if tenant[other] != tenant[uid] or facts.clock_moved(asked[other, event_of_other["seq"]] - 5, at):
                continue
            theirs = facts.jobs[other]["priority"]
            older = since is not None and event_of_other["commit"] < since["commit"] and \
                not facts.clock_moved(asked[uid, since["seq"]] - 5, at)
            if theirs > mine or (theirs == mine and older):
                yield (f"{uid} of priority {mine} was leased while {other} of priority {theirs} waited, since commit "
                       f"{event_of_other['commit']}")


CHECKS = [urgent_jobs_go_first]
