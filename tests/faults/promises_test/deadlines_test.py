from promises.facts import EXECUTION_TIMEOUT, QUEUE_TIMEOUT
from story import ENDED, LEASED, PromiseTest


class DeadlinesTest(PromiseTest):
    def limit(self, **limits):
        self.story.creation.update(limits)

    def later(self, entries, seconds):
        """These entries, and all after the first of them, come later."""
        begin = entries[0]["at"]
        for entry in self.story.told:
            if entry["at"] >= begin:
                entry["at"] += seconds

    def call_of(self, reply):
        return next(entry for entry in self.story.told if entry["entry"] == "call" and entry["call"] == reply["call"])

    def test_a_job_is_leased_in_time(self):
        self.limit(queue_limit=1)
        self.expect()

    def test_a_job_is_leased_long_after_it_wanted_to_wait(self):
        self.limit(queue_limit=1)
        self.later([self.call_of(self.story.lease)], 5)
        self.expect("queue_limits_are_kept")

    def test_a_job_is_called_overdue_too_early(self):
        self.limit(queue_limit=1)
        self.story.stored[LEASED:] = [{**self.story.stored[LEASED], "to": "JOB_STATE_FAILED", "reason": QUEUE_TIMEOUT}]
        self.story.call("get", about="u", **self.story.shown("F", 2))
        self.assertIn("queue_limits_are_kept", self.story.violations())

    def test_a_job_runs_on_after_its_time(self):
        self.limit(run_limit=1)
        self.expect()
        self.story.clock += 5
        self.story.stored.append({"seq": 5, "kind": "log", "line": "w says 2"})
        self.story.call("heartbeat", process="w", uid="u", attempt=1, token="t1", line="w says 2", checkpoint="")
        self.expect("run_limits_are_kept")

    def test_what_a_stopped_server_let_pass_is_forgiven(self):
        self.limit(run_limit=1)
        self.later([self.call_of(self.story.heartbeat)], 5)
        self.story.told.append({"entry": "fault", "kind": "stop server", "at": self.story.lease["at"], "worker": "", "seconds": 5})
        self.expect()

    def test_a_job_is_ended_too_early(self):
        self.limit(run_limit=1)
        self.story.stored[ENDED].update(to="JOB_STATE_FAILED", reason=EXECUTION_TIMEOUT)
        self.story.watched[-1].update(to="JOB_STATE_FAILED", reason=EXECUTION_TIMEOUT)
        self.assertIn("run_limits_are_kept", self.story.violations())

    def test_a_lease_whose_answer_was_lost_counts_from_when_it_was_first_asked_for(self):
        self.test_a_job_is_ended_too_early()
        self.later([self.call_of(self.story.lease)], 5)
        asked = {"call": "w.lost", "op": "acquire", "process": "w"}
        at = self.call_of(self.story.lease)["at"]
        self.story.told += [{"entry": "call", "at": at - 4, **asked},
                            {"entry": "reply", "at": at - 0.001, "result": "unknown", "reason": "UNAVAILABLE", **asked}]
        self.assertNotIn("run_limits_are_kept", self.story.violations())
