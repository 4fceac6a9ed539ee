from promises.facts import CREATION
from story import PromiseTest, change


class WakeupsTest(PromiseTest):
    def late_end(self, seconds):
        """The watcher is told of the job's end so much later than others."""
        self.story.clock += 0.01
        self.story.call("get", about="u", **self.story.shown("S", 4))
        for entry in (self.story.watched[-1], self.story.end):
            self.story.told.remove(entry)
            self.story.told.append(entry)
            self.story.clock += seconds
            entry["at"] = self.story.clock

    def test_a_watcher_is_told_late(self):
        self.late_end(0.1)
        self.expect()
        self.late_end(5)
        self.expect("watchers_are_told_soon")

    def test_a_watcher_is_never_told(self):
        self.late_end(5)
        self.story.told.remove(self.story.watched[-1])
        self.story.end["result"] = "unknown"
        self.expect("watchers_are_told_soon")

    def test_a_watcher_of_a_server_that_was_killed_may_be_late(self):
        self.late_end(5)
        self.story.told.append({"entry": "fault", "kind": "kill server", "at": self.story.clock - 3, "worker": "", "seconds": 0})
        self.expect()

    def test_a_wait_ends_with_the_job(self):
        self.story.call("wait", seconds=8, about="u", **self.story.shown("S", 4))
        self.expect()
        self.story.call("wait", takes=5, seconds=8, about="u", **self.story.shown("S", 4))
        self.expect("waits_end_with_the_job")

    def test_a_wait_ends_before_its_time(self):
        self.story.told.insert(2, {"entry": "call", "call": "c.early", "op": "wait", "at": self.story.creation["at"]})
        self.story.told.insert(3, {"entry": "reply", "call": "c.early", "op": "wait", "process": "c", "result": "ok",
                                   "at": self.story.creation["at"], "seconds": 4, "about": "u",
                                   **self.story.shown("P", 1, 0, outputs=[])})
        self.expect("waits_end_with_the_job")

    def leave_idle(self, running):
        """A worker waits for two seconds and gets nothing, and then at once a job that was there."""
        self.story.write("quota", tenant="guest", running=running)
        self.story.another_job("v", change(1, "-P", 0, CREATION), change(2, "PR"), change(3, "RF"))
        poll = self.story.call("acquire", process="w", takes=2, leased=False)
        created = poll["at"] - 1.9
        self.story.told[-1:-1] = [
            {"entry": "call", "call": "c.v", "op": "create", "at": created, "operation": "o-v"},
            {"entry": "reply", "call": "c.v", "op": "create", "process": "c", "result": "ok", "at": created, "tenant": "guest",
             "operation": "o-v", "request_id": "", "uid": "v", "name": "tenants/guest/jobs/v", "state": "JOB_STATE_PENDING"}]
        self.story.jobs[-1]["name"] = "tenants/guest/jobs/v"
        self.story.call("acquire", process="w", leased=True, token="t2", checkpoint="", uid="v", name="tenants/guest/jobs/v",
                        attempt=1, seq=2)

    def test_a_worker_is_left_idle_while_a_job_waits(self):
        self.leave_idle(None)
        self.expect("idle_workers_are_given_work")

    def test_a_worker_may_be_idle_while_a_quota_holds_jobs_back(self):
        self.leave_idle(3)
        self.expect()


