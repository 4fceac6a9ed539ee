"""Lists that are kept up to date: a list of jobs, and the one stream of their events that goes on from there.

Events of such streams name their job by its resource name. Names that clients chose may have been given to several jobs, one
after the other; events under them are not compared with what is stored.
"""
import bisect
import collections

from names import tenant_of
from promises.events import differences
from promises.wakeups import GRACE


class Names:
    def __init__(self, facts):
        self.chosen = {f"tenants/{call['tenant']}/jobs/{call['job_id']}" for call in facts.calls["create"] if call.get("job_id")}
        self.uids = {job["name"]: uid for uid, job in facts.jobs.items() if job["name"] not in self.chosen}


class View:
    """What a page knows of its jobs, by name, as it goes through its entries."""

    def __init__(self):
        self.listed, self.last, self.complete, self.at = {}, {}, False, 0

    def take(self, entry):
        if entry["entry"] == "page":
            self.listed = {job["name"]: job["seq"] for job in entry["jobs"]}
            self.last, self.complete, self.at = {}, entry["complete"], entry["at"]
        elif entry["entry"] == "change" and entry["seq"]:
            self.last[entry["name"]] = max(entry["seq"], self.last.get(entry["name"], 0))

    def known(self, name):
        """The event of the job up to which it knows the changes of its state; None: nothing can be said."""
        if name in self.last:
            return max(self.last[name], self.listed.get(name, 0))
        return self.listed.get(name, 0 if self.complete else None)


def pages_have_no_gaps(facts):
    """After the list, the stream has every event, as it is stored; what is left out is progress that a later one replaced."""
    names = Names(facts)
    for page, entries in facts.pages.items():
        view = View()
        for entry in entries:
            if entry["entry"] == "change" and (uid := names.uids.get(entry["name"])):
                if entry["kind"] == "deleted":
                    yield f"{page} was told that {uid} was deleted"
                elif entry["seq"]:
                    for what in faults_of(entry, view, facts.stored[uid]):
                        yield f"{page} was {what} of {uid}"
            view.take(entry)


def faults_of(entry, view, stored):
    seq, name = entry["seq"], entry["name"]
    if seq not in stored and entry["kind"] != "progress":
        yield f"sent event {seq}, which is not stored,"
    elif seq in stored and differences(entry, stored[seq]):
        yield f"sent event {seq} with {differences(entry, stored[seq])}"
    since = view.known(name)
    if since is None:
        return
    # Of a job in the list, lines and checkpoints may be older than the list though newer than the last change of its state.
    all_kinds = name in view.last or name not in view.listed
    for between in range(since + 1, seq):
        kind = stored.get(between, {}).get("kind", "progress")
        if kind == "state_change" or (all_kinds and kind != "progress"):
            yield f"not sent event {between}, a {kind},"


def pages_repeat_events_only_after_a_resume(facts):
    names = Names(facts)
    for page, entries in facts.pages.items():
        last = {}
        for entry in entries:
            if entry["entry"] in ("page", "stream"):
                last = {}
            if entry["entry"] != "change" or not entry["seq"]:
                continue
            name, seq = entry["name"], entry["seq"]
            another = seq == 1 and name in names.chosen
            if seq <= last.get(name, 0) and not another:
                yield f"{page} was sent event {seq} of {name} after event {last[name]} on one stream"
            last[name] = seq


def pages_are_told_soon(facts):
    """Of changes of state and of deletions."""
    names, told = Names(facts), facts.first_told()
    changes, deletions = collections.defaultdict(list), collections.defaultdict(list)
    for name, uid in names.uids.items():
        for event in facts.changes(uid):
            if (uid, event["seq"]) in told:
                changes[tenant_of(name)].append((told[uid, event["seq"]], name, event["seq"], event["to"]))
    for call in facts.replies("delete"):
        if call["name"] not in names.chosen:
            deletions[tenant_of(call["name"])].append((call["at"], call["begun"], call["name"]))
    for listed in (*changes.values(), *deletions.values()):
        listed.sort()
    for page, entries in facts.pages.items():
        view, opened, tenant, gone, wanted = View(), 0, "", set(), None
        for entry in entries:
            if entry["entry"] == "page":
                tenant, gone = entry["tenant"], set()
                wanted = entry["filter"].removeprefix("method = ")
            elif entry["entry"] == "stream":
                opened = entry["at"]
            elif entry["entry"] == "change" and entry["kind"] == "deleted":
                gone.add(entry["name"])
            elif entry["entry"] == "streamed" and entry["result"] != "refused":
                end = entry["at"]
                for at, name, seq, to in between(changes[tenant], view.at, end - GRACE):
                    known, since = view.known(name), max(at, opened)
                    passes = not wanted or facts.jobs[names.uids[name]]["method"] == wanted
                    if passes and known is not None and known < seq and end - since > GRACE and facts.is_quiet(since, end):
                        yield f"{page} was not told of event {seq} of {name}, {to}, for {end - since:.2f} s after others had been told"
                for at, begun, name in between(deletions[tenant], view.at, end - GRACE):
                    since = max(at, opened)
                    if name in view.listed and begun > view.at and name not in gone and end - since > GRACE and \
                            facts.is_quiet(since, end):
                        yield f"{page} was not told that {name} was deleted for {end - since:.2f} s after it had been acknowledged"
            view.take(entry)


def between(ordered, low, high):
    return ordered[bisect.bisect_left(ordered, (low,)):bisect.bisect_left(ordered, (high,))]


CHECKS = [pages_have_no_gaps, pages_repeat_events_only_after_a_resume, pages_are_told_soon]
