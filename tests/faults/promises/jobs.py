"""What was acknowledged of a job's life: it is there, once, in the state that it was said to have."""
import collections

from promises.facts import ENDED, RETRY

OUTSIDE_THE_CONTRACT = {"INVALID_FIELD", "OUT_OF_RANGE", "UNKNOWN_FIELDS"}


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
        put_back = sum(event.get("reason") == RETRY for event in events.values())
        asked = len(retries[facts.jobs[uid]["name"]]) if uid in facts.jobs else put_back
        if put_back > asked:
            yield f"{uid} was put back {put_back} times and asked to be {asked} times"


def refused_creations_made_nothing(facts):
    perhaps = {call["operation"] for call in facts.may_have_happened("create")}
    made = collections.defaultdict(list)
    for uid, job in facts.jobs.items():
        made[job["operation"]].append(uid)
    for call in facts.replies("create", "refused"):
        if call["operation"] not in perhaps and call["operation"] in made:
            yield f"the creation {call['operation']} was refused ({call['reason']}) and made {made[call['operation']]}"


def creations_are_within_the_contract(facts):
    """A creation of the campaign's own whose numbers are refused shows nothing of the server: the campaign has gone stale."""
    for call in facts.replies("create", "refused"):
        if call["reason"] in OUTSIDE_THE_CONTRACT:
            yield f"the creation {call['operation']} was refused: {call['reason']} {call.get('details', '')}"


def request_ids_are_idempotent(facts):
    by_id = collections.defaultdict(list)
    for call in facts.replies("create"):
        if call.get("answered", call["operation"]) != call["operation"]:
            yield f"the creation {call['operation']} was answered with the job of {call['answered']}"
        if call["request_id"]:
            by_id[call["request_id"]].append(call)
    deleted = {call.get("about") for call in facts.may_have_happened("delete")}
    deleted_names = {call["name"] for call in facts.may_have_happened("delete")}
    for request_id, calls in by_id.items():
        for first, later in zip(calls, calls[1:]):
            gone = first["uid"] in deleted or first["name"] in deleted_names
            if first["uid"] != later["uid"] and not gone:
                yield f"the request id {request_id} was answered with {first['uid']}, then with {later['uid']}"


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


def everything_ends(facts):
    for uid, job in facts.jobs.items():
        if job["state"] not in ENDED:
            yield f"{job['name']} ({uid}) is still {job['state']}, long after all was well again"


CHECKS = [acknowledged_jobs_survive, acknowledged_deletions_last, nothing_happens_twice, refused_creations_made_nothing,
          creations_are_within_the_contract, request_ids_are_idempotent, cancelled_jobs_do_not_succeed, everything_ends]
