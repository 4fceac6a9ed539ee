"""A history with nothing wrong with it, for tests to break: a job that is created, leased, worked on and completed."""
import copy
import unittest

import checker
from promises.facts import CREATION

JOB = "tenants/default/jobs/a"
OUTPUT = "tenants/default/blobs/" + "0" * 64
CREATED, LEASED, LINE, ENDED = 0, 1, 2, 3  # where these events stand in Story.stored

STATES = {"P": "JOB_STATE_PENDING", "R": "JOB_STATE_RUNNING", "S": "JOB_STATE_SUCCEEDED", "F": "JOB_STATE_FAILED",
          "C": "JOB_STATE_CANCELLED", "-": "JOB_STATE_UNSPECIFIED"}


def change(seq, way, attempt=1, reason=""):
    """An event: `way` is "PR" for one that led from PENDING to RUNNING."""
    return {"seq": seq, "kind": "state_change", "from": STATES[way[0]], "to": STATES[way[1]], "attempt": attempt,
            "reason": reason}


class Story:
    def __init__(self):
        self.told = []
        self.clock = 0
        self.stored = [change(1, "-P", 0, CREATION), change(2, "PR"), {"seq": 3, "kind": "log", "line": "w says 1"},
                       change(4, "RS")]
        self.others = []  # events of other jobs, with their uid
        self.job = {"entry": "job", "uid": "u", "name": JOB, "state": "JOB_STATE_SUCCEEDED", "operation": "o", "attempt": 1, "seq": 4,
                    "outputs": [OUTPUT], "photos": [], "priority": 3, "method": "generate", "makes": "", "draws_with": ""}
        self.jobs = [self.job]
        self.blobs = {OUTPUT: "0" * 64}
        self.creation = self.call("create", operation="o", request_id="r", tenant="default",
                                  **self.shown("P", 1, 0, outputs=[]))
        self.write("watch", watch="x", uid="u")
        self.write("event", watch="x", uid="u", seq=0, kind="snapshot", state="JOB_STATE_PENDING", shown=1, position=1)
        self.lease = self.call("acquire", process="w", leased=True, token="t1", checkpoint="", **self.shown("R", 2, outputs=[]))
        self.heartbeat = self.call("heartbeat", process="w", uid="u", attempt=1, token="t1", line="w says 1", checkpoint="")
        self.call("upload", process="w", blob=OUTPUT, size=10)
        self.watched = [self.write("event", watch="x", uid="u", **event) for event in self.stored[1:3]]
        self.completion = self.call("complete", process="w", uid="u", attempt=1, token="t1", outputs=[OUTPUT])
        self.watched.append(self.write("event", watch="x", uid="u", **self.stored[3]))
        self.end = self.write("watched", watch="x", uid="u", result="ok")

    @staticmethod
    def shown(state, seq, attempt=1, **facts):
        """What an answer shows of the job."""
        return {"uid": "u", "name": JOB, "state": STATES[state], "seq": seq, "attempt": attempt, **facts}

    def write(self, entry, **facts):
        self.clock += 0.01
        self.told.append({"entry": entry, "at": self.clock, **facts})
        return self.told[-1]

    def call(self, op, result="ok", process="c", takes=0, **facts):
        number = f"{process}.{self.clock}"
        self.write("call", call=number, op=op, process=process, **facts)
        self.clock += takes
        return self.write("reply", call=number, op=op, process=process, result=result, **{"reason": "", **facts})

    def another_job(self, uid, *changes, **facts):
        """A job with its events, whose commits are numbered anew from 100 on unless they say so."""
        self.jobs.append({**self.job, "uid": uid, "name": f"{JOB}-{uid}", "operation": f"o-{uid}", "outputs": [],
                          "state": changes[-1]["to"], **facts})
        self.others += [{"uid": uid, "commit": 100 + len(self.others) + number, **event}
                        for number, event in enumerate(changes)]

    def violations(self):
        """The names of the checks that found something."""
        entries = copy.deepcopy(self.told) + self.jobs
        stored = [{"uid": "u", "commit": event["seq"], **event} for event in self.stored if self.job in self.jobs]
        entries += [{"entry": "stored", **event} for event in stored + self.others]
        entries += [{"entry": "blob", "blob": blob, "digest": digest} for blob, digest in self.blobs.items()]
        return sorted({violation.split(":")[0] for violation in checker.check(entries)})


class PromiseTest(unittest.TestCase):
    def setUp(self):
        self.story = Story()

    def expect(self, *violations):
        self.assertEqual(self.story.violations(), sorted(violations))
