"""What a tenant may have: jobs that wait and run, bytes, and time of the workers."""
import bisect
import collections
import itertools

from names import tenant_of
from promises.facts import CREATION, RETRY

ROOM = 64 << 10  # bytes of photos within requests, which the history does not tell
SLACK = 0.5  # seconds of a worker, which are charged a little later than they pass


def limits(facts, what):
    return [(entry["tenant"], entry[what]) for entry in facts.by_kind["quota"] if entry.get(what) is not None]


def quotas_are_kept(facts):
    """So many may wait when one more is created or put back, and so many may be with workers at one time. Jobs that were
    deleted are not counted, so this may see less than there was."""
    pending, running = dict(limits(facts, "pending")), dict(limits(facts, "running"))
    count = collections.Counter()
    for event in facts.commits:
        job = facts.jobs.get(event["uid"])
        if event["kind"] != "state_change" or not job:
            continue
        tenant, after, reason = tenant_of(job["name"]), event["to"], event.get("reason", "")
        count[tenant, event["from"]] -= 1
        count[tenant, after] += 1
        waiting = count[tenant, "JOB_STATE_PENDING"]
        if reason in (CREATION, RETRY) and waiting > pending.get(tenant, waiting):
            yield f"{event['uid']} was {'created' if reason == CREATION else 'put back'} as number {waiting}; {pending[tenant]} may wait"
        held = count[tenant, "JOB_STATE_RUNNING"] + count[tenant, "JOB_STATE_CANCELLING"]
        if after == "JOB_STATE_RUNNING" and held > running.get(tenant, held):
            yield f"{event['uid']} was leased as number {held}; {running[tenant]} may run"


def first_calls(facts, tenant):
    """The first upload of each of a tenant's blobs."""
    first = {}
    for call in sorted(facts.calls["upload"], key=lambda call: call["begun"]):
        if tenant_of(call["blob"]) == tenant:
            first.setdefault(call["blob"], call)
    return first


def is_of_worker(call):
    return call["process"].startswith("w")


def stored_bytes_are_bounded(facts):
    """What workers store for jobs that were accepted counts, and is never refused."""
    for tenant, most in limits(facts, "stored_bytes"):
        first = first_calls(facts, tenant)
        stored = sum(entry["bytes"] for entry in facts.by_kind["bytes"] if entry["tenant"] == tenant)
        of_workers = {call["blob"] for call in facts.may_have_happened("upload") if is_of_worker(call)} & first.keys()
        own = stored - sum(first[blob]["size"] for blob in of_workers)
        if own > most:
            yield f"{tenant} has {own} bytes stored, what its jobs made not counted; {most} are allowed"
        yield from uploads_beyond(facts, tenant, most, first)
        yield from refusals_with_room(facts, tenant, most, first)


def uploads_beyond(facts, tenant, most, first):
    """Uploads that were accepted although so much was there already, by whomever it was stored, that they had no room."""
    if facts.by_kind["collection"]:
        return  # nobody knows what is still there
    accepted = {}
    for call in sorted(facts.replies("upload"), key=lambda call: call["at"]):
        if call["blob"] in first and call["blob"] not in facts.damaged():
            accepted.setdefault(call["blob"], call)
    times = [call["at"] for call in accepted.values()]
    totals = list(itertools.accumulate((call["size"] for call in accepted.values()), initial=0))
    for blob, call in accepted.items():
        before = totals[bisect.bisect_left(times, first[blob]["begun"])]
        if not is_of_worker(call) and before + call["size"] > most:
            yield f"{blob} of {call['size']} bytes was taken when {tenant} had {before} of {most} bytes stored"


def refusals_with_room(facts, tenant, most, first):
    times = [call["begun"] for call in first.values()]
    totals = list(itertools.accumulate((call["size"] for call in first.values()), initial=0))
    for call in facts.replies("upload", "refused"):
        if tenant_of(call["blob"]) == tenant and call["reason"] == "QUOTA_EXCEEDED":
            so_far = totals[bisect.bisect_right(times, call["at"])]
            if so_far + call["size"] + ROOM <= most:
                yield (f"{call['blob']} of {call['size']} bytes was refused, and no more than {so_far} of the {most} bytes of "
                       f"{tenant} were taken")


def charged_at_least(facts, lease, calls):
    """(when the lease ended, seconds that are charged for it by then), or None. The server's clock stands still while it is
    down, and a server that starts renews each lease: what passed since the last answer that a worker had from the server
    before is not charged. `calls` are the lease's heartbeats and ends, by when they began."""
    if not any(call["op"] != "heartbeat" and call["result"] == "ok" for call in calls):
        return None
    end = min(call["begun"] for call in calls if call["op"] != "heartbeat" and call["result"] in ("ok", "unknown"))
    told, seconds = lease["at"], 0
    for call in calls:
        if call["begun"] > end:
            break
        if call["begun"] < end and call["result"] != "ok":
            continue
        if facts.served_throughout(told, call["begun"]):
            seconds += max(0, call["begun"] - told)
        told = call["at"]
    return end, seconds


def worker_time_is_bounded(facts):
    """No lease for a tenant that has had its time of the day. A clock that moves begins another day, perhaps."""
    calls = collections.defaultdict(list)
    for op in ("heartbeat", "complete", "fail", "release"):
        for call in facts.calls[op]:
            calls[call["token"]].append(call)
    for of_lease in calls.values():
        of_lease.sort(key=lambda call: call["begun"])
    moves = [entry["at"] for entry in facts.by_kind["fault"] if entry["kind"] == "move clock"]
    for tenant, most in limits(facts, "worker_seconds"):
        leases = {lease["token"]: lease for lease in facts.leases() if tenant_of(lease["name"]) == tenant}
        charged = {token: charged_at_least(facts, lease, calls[token]) for token, lease in leases.items()}
        for lease in leases.values():
            since = max((at for at in moves if at < lease["at"]), default=0)
            had = sum(charged[token][1] for token, other in leases.items()
                      if other["at"] > since and charged[token] and charged[token][0] < lease["begun"])
            if had > most + SLACK:
                yield f"{tenant} was leased {lease['uid']} after {had:.2f} s of workers; {most} s are allowed"


CHECKS = [quotas_are_kept, stored_bytes_are_bounded, worker_time_is_bounded]
