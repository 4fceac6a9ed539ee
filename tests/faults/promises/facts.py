"""A history, sorted by what is asked of it."""
import bisect
import collections

ENDED = {"JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED"}
# Why a job's state changed, by the contract's names.
CREATION, RETRY = "STATE_CHANGE_REASON_CREATED", "STATE_CHANGE_REASON_RETRIED"
QUEUE_TIMEOUT, EXECUTION_TIMEOUT = "STATE_CHANGE_REASON_QUEUE_TIMEOUT", "STATE_CHANGE_REASON_EXECUTION_TIMEOUT"
NEVER = float("inf")
SLACK = 3  # seconds after a disturbance within which slow answers are forgiven

# Faults of the server, and for how long after its seconds what it does late is forgiven.
OF_SERVER = {"kill server", "lose power", "stop server", "fill disk", "move clock", "hang disk"}


class Facts:
    def __init__(self, entries):
        self.entries = entries
        self.calls = collections.defaultdict(list)  # op: what is known of each of its calls
        self.jobs, self.stored, self.blobs, self.models = {}, collections.defaultdict(dict), {}, {}
        self.watches = collections.defaultdict(list)
        self.pages = collections.defaultdict(list)  # lists of jobs, and the streams that go on from them
        self.by_kind = collections.defaultdict(list)  # entries of every other kind
        begun, answered = {}, set()
        for entry in entries:
            match entry["entry"]:
                case "call":
                    begun[entry["call"]] = entry["at"]
                case "reply":
                    answered.add(entry["call"])
                    at = entry["at"] if entry["result"] != "unknown" else NEVER  # it may be under way yet
                    self.calls[entry["op"]].append({**entry, "begun": begun[entry["call"]], "at": at})
                case "job":
                    self.jobs[entry["uid"]] = entry
                case "stored":
                    self.stored[entry["uid"]][entry["seq"]] = entry
                case "blob":
                    self.blobs[entry["blob"]] = entry["digest"]
                case "model":
                    self.models[entry["model"]] = entry
                case "watch" | "event" | "watched":
                    self.watches[entry["watch"]].append(entry)
                case "page" | "stream" | "change" | "streamed":
                    self.pages[entry["page"]].append(entry)
                case kind:
                    self.by_kind[kind].append(entry)
        for entry in entries:  # whoever asked was killed before the answer came
            if entry["entry"] == "call" and entry["call"] not in answered:
                self.calls[entry["op"]].append({**entry, "begun": entry["at"], "at": NEVER, "result": "unknown"})
        self._changes = {uid: [events[seq] for seq in sorted(events) if events[seq]["kind"] == "state_change"]
                         for uid, events in self.stored.items()}
        self.commits = sorted((event for events in self.stored.values() for event in events.values()),
                              key=lambda event: event["commit"])
        self._tellings = None
        self._disturbances = self._find_disturbances()
        self._absences = self._find_absences()
        self._clock_moves = [entry["at"] for entry in self.by_kind["fault"] if entry["kind"] == "move clock"]

    # --- Calls

    def replies(self, op, *results):
        return [call for call in self.calls[op] if call["result"] in (results or ("ok",))]

    def may_have_happened(self, op):
        return self.replies(op, "ok", "unknown")

    def first_asked(self):
        """{operation: when its creation was first asked for}"""
        first = {}
        for call in self.calls["create"]:
            first[call["operation"]] = min(call["begun"], first.get(call["operation"], NEVER))
        return first

    def seen_jobs(self):
        """Jobs whose existence somebody was told: uid, name, and when it was first known."""
        seen = {}
        for call in self.calls["create"] + self.calls["acquire"]:
            if call["result"] == "ok" and call.get("uid"):
                seen.setdefault(call["uid"], call)
        for entry in self.by_kind["drawing"]:
            seen.setdefault(entry["uid"], entry)
        return seen

    def leases(self):
        return [call for call in self.replies("acquire") if call["leased"]]

    # --- Commits

    def changes(self, uid):
        """The stored changes of a job's state, in order."""
        return self._changes.get(uid, [])

    def next_change(self, uid, seq):
        return next((event for event in self.changes(uid) if event["seq"] > seq), None)

    def tellings(self):
        """(when, uid, seq): somebody was told, at the latest, that this event was committed; in order of time."""
        if self._tellings is not None:
            return self._tellings
        told = []
        for op in ("create", "get", "cancel", "retry", "wait"):
            told += [(call["at"], call["uid"], call["seq"]) for call in self.replies(op) if "seq" in call]
        for call in self.replies("list"):
            told += [(call["at"], job["uid"], job["seq"]) for job in call["jobs"] if "seq" in job]
        for entries in self.watches.values():
            for entry in entries:
                if entry["entry"] == "event":
                    seq = entry["seq"] or entry.get("shown")
                    if seq:
                        told.append((entry["at"], entry["uid"], seq))
        lines = {event["line"]: event for event in self.commits if event["kind"] == "log"}
        for call in self.replies("heartbeat"):
            if call["line"] in lines:
                event = lines[call["line"]]
                told.append((call["at"], event["uid"], event["seq"]))
        told += [(call["at"], call["uid"], call["seq"]) for call in self.leases() if "seq" in call]
        for call in self.replies("complete"):
            told += [(call["at"], call["uid"], event["seq"]) for event in self.changes(call["uid"])
                     if event["to"] == "JOB_STATE_SUCCEEDED"]
        self._tellings = sorted(told)
        self._floors, highest = [], 0
        for _, uid, seq in self._tellings:
            event = self.stored.get(uid, {}).get(seq)
            highest = max(highest, event["commit"] if event else 0)
            self._floors.append(highest)
        return self._tellings

    def floor(self, at):
        """A commit of which somebody was told before `at`: whoever asks then must see it, and all before it. 0: none."""
        index = bisect.bisect_left(self.tellings(), (at,))
        return self._floors[index - 1] if index else 0

    def first_told(self):
        """{(uid, seq): when somebody was first told of that event}"""
        first = {}
        for at, uid, seq in self.tellings():
            first.setdefault((uid, seq), at)
        return first

    # --- Disturbances

    def _find_disturbances(self):
        """[(from, to, whose)]: when something was wrong with the server (whose is ""), or with one actor."""
        found, down = [], None
        for entry in self.entries:
            if entry["entry"] == "fault":
                whose = "" if entry["kind"] in OF_SERVER else entry.get("worker", "")
                if entry["kind"] in ("kill server", "lose power"):
                    down = entry["at"]
                if entry["kind"] in OF_SERVER or entry["kind"] in ("stop worker", "cut worker", "kill worker"):
                    found.append((entry["at"] - SLACK, entry["at"] + entry["seconds"] + SLACK, whose))
            elif entry["entry"] == "served" and down is not None:
                found.append((down, entry["at"] + SLACK, ""))
                down = None
            elif entry["entry"] == "late":  # the whole machine was too busy
                found.append((entry["at"] - entry["seconds"] - SLACK, entry["at"] + SLACK, ""))
        return found

    def _find_absences(self):
        """[(from, to)]: when there was perhaps no server: from what may have ended it until it served again."""
        found, ended = [], None
        for entry in self.entries:
            if entry["entry"] == "fault" and entry["kind"] in OF_SERVER and entry["kind"] != "stop server":
                ended = ended or entry["at"]
            elif entry["entry"] == "served" and ended:
                found.append((ended, entry["at"]))
                ended = None
        return found

    def served_throughout(self, begin, end):
        """Whether one server ran all the time."""
        return all(until < begin or since > end for since, until in self._absences)

    def is_quiet(self, begin, end, process=""):
        """Whether nothing was wrong with the server, nor with that actor."""
        return all(until < begin or since > end or whose not in ("", process)
                   for since, until, whose in self._disturbances)

    def clock_moved(self, begin, end):
        return any(begin <= at <= end for at in self._clock_moves)

    def damaged(self):
        """Names of blobs whose bytes on the disk were changed."""
        return {entry["blob"] for entry in self.by_kind["damage"]}
