from promises import leases
from promises.facts import RETRY
from story import ENDED, JOB, LINE, OUTPUT, PromiseTest, change

CHECKPOINT = "tenants/default/blobs/" + "c" * 64


class LeasesTest(PromiseTest):
    def lease_again(self, attempt=2, token="t2", **facts):
        return self.story.call("acquire", **{"process": "v", "leased": True, "uid": "u", "name": JOB, "attempt": attempt,
                                             "token": token, "checkpoint": "", **facts})

    def test_two_workers_lease_the_same_attempt(self):
        self.lease_again(attempt=1)
        self.expect("leases_are_exclusive")

    def test_a_worker_that_asks_again_is_told_of_its_own_lease(self):
        self.lease_again(process="w", attempt=1, token="t1", state="JOB_STATE_RUNNING", seq=2)
        self.expect()

    def test_two_completions_are_accepted(self):
        self.lease_again()
        self.story.call("complete", process="v", uid="u", attempt=2, token="t2", outputs=[OUTPUT])
        self.expect("one_completion_is_accepted")

    def test_a_completion_that_is_repeated_is_one(self):
        self.story.call("complete", process="w", uid="u", attempt=1, token="t1", outputs=[OUTPUT])
        self.expect()

    def test_an_acknowledged_completion_is_lost(self):
        self.story.job.update(state="JOB_STATE_FAILED", outputs=[])
        self.story.stored[ENDED]["to"] = self.story.watched[-1]["to"] = "JOB_STATE_FAILED"
        self.expect("one_completion_is_accepted")

    def test_the_outputs_are_those_of_another_completion(self):
        other = "tenants/default/blobs/" + "1" * 64
        self.story.job["outputs"] = [other]
        self.story.blobs[other] = "1" * 64
        self.expect("one_completion_is_accepted")

    def test_a_stale_token_is_accepted(self):
        for op in leases.CALLS:
            with self.subTest(op):
                self.setUp()
                self.lease_again()
                self.story.stored.append({"seq": 5, "kind": "log", "line": "w says 2"})
                self.story.call(op, process="w", uid="u", attempt=1, token="t1", outputs=[OUTPUT], line="w says 2",
                                checkpoint="")
                self.expect("stale_tokens_are_refused")

    def test_a_stale_token_that_is_refused_is_as_it_should_be(self):
        self.lease_again()
        self.story.call("complete", "refused", process="w", uid="u", attempt=1, token="t1", outputs=[])
        self.expect()

    def go_on_from(self, checkpoint):
        """A heartbeat stores a checkpoint; then the lease is lost, and the next one names `checkpoint`."""
        for entry in self.story.told:
            if entry.get("line") and entry["entry"] in ("call", "reply"):
                entry["checkpoint"] = CHECKPOINT
        self.story.stored[ENDED:] = [change(4, "RP"), change(5, "PR", 2), change(6, "RS", 2)]
        self.story.told.remove(self.story.watched[-1])
        self.story.told.remove(self.story.end)
        self.story.told.remove(self.story.completion)
        self.lease_again(seq=5, state="JOB_STATE_RUNNING", checkpoint=checkpoint)

    def test_a_lease_goes_on_from_the_last_checkpoint(self):
        self.go_on_from(CHECKPOINT)
        self.expect()

    def test_a_lease_goes_on_from_an_older_checkpoint(self):
        self.go_on_from("")
        self.expect("leases_begin_at_the_last_checkpoint")

    def test_a_checkpoint_that_was_collected_may_be_left_out_after_a_retry(self):
        self.go_on_from("")
        self.story.stored[ENDED:] = [change(4, "RF"), change(5, "FP", 1, RETRY), change(6, "PR", 2),
                                     change(7, "RS", 2)]
        self.story.told[-1]["seq"] = 6
        self.story.call("retry", result="unknown", name=JOB, about="u")
        self.expect("leases_begin_at_the_last_checkpoint")
        self.story.write("collection")
        self.expect()

    def test_news_of_another_attempt_is_no_checkpoint(self):
        self.assertEqual(self.story.stored[LINE]["line"], self.story.heartbeat["line"])
        self.lease_again(seq=2, attempt=2, state="JOB_STATE_RUNNING", checkpoint=CHECKPOINT)
        self.assertIn("leases_begin_at_the_last_checkpoint", self.story.violations())
