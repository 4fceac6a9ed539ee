"""What readers are shown: what was committed, nothing older than what anybody was told before, all of one moment."""
import bisect
import collections

from names import tenant_of

MATCHES = {
    "": lambda state, method: True,
    "state = RUNNING": lambda state, method: state == "JOB_STATE_RUNNING",
    "state = FAILED OR state = CANCELLED": lambda state, method: state in ("JOB_STATE_FAILED", "JOB_STATE_CANCELLED"),
    "method = generate": lambda state, method: method == "generate",
}


def sightings(facts):
    """Each job that an answer showed: when it was asked for and answered, and the job's facts."""
    for op in ("create", "get", "cancel", "retry", "wait"):
        for call in facts.replies(op):
            yield call["begun"], call["at"], call, f"a {op} of {call['process']}"
    for call in facts.replies("list"):
        for job in call["jobs"]:
            yield call["begun"], call["at"], job, f"a list of {call['process']}"
    for watch, entries in facts.watches.items():
        begun = None
        for entry in entries:
            if entry["entry"] == "watch":
                begun = entry["at"]
            elif entry["entry"] == "event" and entry["kind"] == "snapshot" and "shown" in entry:
                yield begun, entry["at"], {**entry, "seq": entry["shown"]}, f"the watch {watch}"


def reads_show_what_is_stored(facts):
    for _, _, job, what in sightings(facts):
        if job["uid"] not in facts.jobs or "seq" not in job:
            continue
        stored = facts.stored[job["uid"]].get(job["seq"], {})
        shown = {"to": job["state"], "attempt": job.get("attempt", stored.get("attempt"))}
        if {key: stored.get(key) for key in shown} != shown:
            yield (f"{what} showed {job['uid']} {job['state']} in attempt {job.get('attempt')} as of event {job['seq']}, and stored "
                   f"is {stored.get('to')} in attempt {stored.get('attempt')}")
        outputs = facts.jobs[job["uid"]]["outputs"] if job["state"] == "JOB_STATE_SUCCEEDED" else []
        if sorted(job.get("outputs", outputs)) != sorted(outputs):
            yield f"{what} showed {job['uid']} {job['state']} with the outputs {job['outputs']}"


def reads_are_fresh(facts):
    """Nobody is shown less than what somebody had been told of before the question was asked."""
    deleted = {call["about"]: call["at"] for call in facts.replies("delete")}
    for begun, _, job, what in sightings(facts):
        if begun > deleted.get(job["uid"], begun):
            yield f"{what} showed {job['uid']}, whose deletion had been acknowledged"
        later = facts.next_change(job["uid"], job["seq"]) if "seq" in job else None
        if later and later["commit"] <= facts.floor(begun):
            yield (f"{what} showed {job['uid']} {job['state']} as of event {job['seq']}; it had become {later['to']} with commit "
                   f"{later['commit']}, and commit {facts.floor(begun)} had been told of before")
    known = {}
    for at, uid, _ in facts.tellings():
        known.setdefault(uid, at)
    for op in ("get", "wait", "cancel", "retry"):
        for call in facts.replies(op, "refused"):
            job = facts.jobs.get(call["about"])
            there = job and job["name"] == call["name"] and known.get(call["about"], call["begun"]) < call["begun"]
            if call["reason"] == "JOB_NOT_FOUND" and there:
                yield f"a {op} of {call['process']} did not find {call['name']} ({call['about']}), which is there"


def lists_are_of_one_moment(facts):
    """There is a moment at which every job of a page was as the page shows it, and no other one belonged there."""
    creations = {uid: events[1]["commit"] for uid, events in facts.stored.items() if 1 in events}
    # A creation may be asked for again and again under its request id: what an answer names then may have been made long ago.
    first_asked = facts.first_asked()
    later_creations = sorted((first_asked[call["operation"]], creations[call["uid"]]) for call in facts.replies("create")
                             if call["uid"] in creations)
    of_tenant = collections.defaultdict(list)  # (commit of the creation, uid), in order
    for commit, uid in sorted((creations[uid], uid) for uid in facts.jobs if uid in creations):
        of_tenant[tenant_of(facts.jobs[uid]["name"])].append((commit, uid))
    for call in facts.replies("list"):
        shown = [(job, facts.stored[job["uid"]][job["seq"]]["commit"]) for job in call["jobs"]
                 if job.get("seq") in facts.stored.get(job["uid"], {})]
        earliest = max([commit for _, commit in shown] + [facts.floor(call["begun"])])
        newest = max((commit for _, commit in shown), default=0)
        for job, _ in shown:
            after = facts.next_change(job["uid"], job["seq"])
            if after and after["commit"] <= newest:
                yield (f"a list of {call['process']} showed {job['uid']} {job['state']}, which it was until commit "
                       f"{after['commit']}, beside what was committed as {newest}")
        next_creation = bisect.bisect_right(later_creations, (call["at"], float("inf")))
        if next_creation == len(later_creations):
            continue
        latest = later_creations[next_creation][1]
        oldest = min((creations[job["uid"]] for job, _ in shown), default=0) if call["more"] else 0
        there = {job["uid"] for job in call["jobs"]}
        candidates = of_tenant[call["tenant"]]
        begin, end = (bisect.bisect_right(candidates, (commit, "~")) for commit in (oldest, earliest))
        for _, uid in candidates[begin:end]:
            if uid in there:
                continue
            before = [event for event in facts.changes(uid) if event["commit"] <= earliest][-1]
            after = facts.next_change(uid, before["seq"])
            stays = after is None or after["commit"] > latest
            if stays and MATCHES[call["filter"]](before["to"], facts.jobs[uid]["method"]):
                yield f"a list of {call['process']} (\"{call['filter']}\") left out {uid}, which was {before['to']}"


CHECKS = [reads_show_what_is_stored, reads_are_fresh, lists_are_of_one_moment]
