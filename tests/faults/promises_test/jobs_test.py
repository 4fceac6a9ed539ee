from promises.facts import RETRY
from story import JOB, PromiseTest, change


class JobsTest(PromiseTest):
    def test_nothing_wrong(self):
        self.expect()

    def lose_the_job(self):
        self.story.jobs.clear()

    def test_an_acknowledged_job_is_lost(self):
        self.lose_the_job()
        self.expect("acknowledged_jobs_survive")

    def test_a_deleted_job_is_gone(self):
        self.story.call("delete", name=JOB, about="u")
        self.lose_the_job()
        self.expect()

    def test_a_job_whose_deletion_nobody_answered_may_be_gone(self):
        self.story.call("delete", result="unknown", name=JOB, about="u")
        self.lose_the_job()
        self.expect()

    def test_a_deletion_that_was_refused_deletes_nothing(self):
        self.story.call("delete", result="refused", name=JOB, about="u")
        self.lose_the_job()
        self.expect("acknowledged_jobs_survive")

    def test_a_deleted_job_is_back(self):
        self.story.call("delete", name=JOB, about="u")
        self.expect("acknowledged_deletions_last")

    def test_one_creation_makes_two_jobs(self):
        self.story.another_job("v", change(1, "-C", 0), operation="o")
        self.expect("nothing_happens_twice")

    def test_one_retry_puts_a_job_back_twice(self):
        self.story.stored[3:] = [change(4, "RF"), change(5, "FP", reason=RETRY), change(6, "PF"),
                                 change(7, "FP", reason=RETRY), change(8, "PF")]
        self.story.call("retry", **self.story.shown("P", 5))
        self.assertIn("nothing_happens_twice", self.story.violations())
        self.story.call("retry", result="unknown", name=JOB, about="u")
        self.assertNotIn("nothing_happens_twice", self.story.violations())

    def test_a_refused_creation_makes_a_job(self):
        self.story.call("create", result="refused", operation="p", request_id="", tenant="default")
        self.story.another_job("v", change(1, "-C", 0), operation="p")
        self.expect("refused_creations_made_nothing")

    def test_a_creation_of_the_campaign_is_not_what_the_contract_allows(self):
        self.story.call("create", result="refused", operation="p", request_id="", tenant="default", reason="JOB_EXISTS")
        self.expect()
        self.story.call("create", result="refused", operation="q", request_id="", tenant="default", reason="OUT_OF_RANGE")
        self.expect("creations_are_within_the_contract")

    def create_again(self, **facts):
        self.story.call("create", **{"operation": "o", "request_id": "r", "tenant": "default", "name": JOB + "b", "uid": "v",
                                     "state": "JOB_STATE_PENDING", **facts})

    def test_a_request_id_is_answered_with_two_jobs(self):
        self.create_again()
        self.story.another_job("v", change(1, "-C", 0), operation="")
        self.expect("request_ids_are_idempotent")

    def test_a_request_id_whose_job_was_deleted_makes_another(self):
        self.story.call("delete", name=JOB, about="u")
        self.lose_the_job()
        self.create_again()
        self.story.another_job("v", change(1, "-C", 0), operation="o")
        self.expect()

    def test_a_request_id_is_answered_with_the_job_of_another(self):
        self.story.call("delete", name=JOB, about="u")
        self.lose_the_job()
        self.create_again(answered="p")
        self.story.another_job("v", change(1, "-C", 0), operation="p")
        self.expect("request_ids_are_idempotent")

    def test_a_cancelled_job_succeeds(self):
        self.story.call("cancel", **self.story.shown("S", 4))
        self.expect("cancelled_jobs_do_not_succeed")

    def test_a_cancelled_job_that_was_retried_may_succeed(self):
        self.story.call("cancel", **self.story.shown("S", 4))
        self.story.call("retry", result="unknown", name=JOB, about="u")
        self.expect()

    def test_a_cancelling_job_succeeds(self):
        self.story.stored[2] = {**change(3, "RR"), "to": "JOB_STATE_CANCELLING"}
        self.story.stored[3]["from"] = "JOB_STATE_CANCELLING"
        self.assertIn("cancelled_jobs_do_not_succeed", self.story.violations())

    def test_a_job_does_not_end(self):
        self.story.job.update(state="JOB_STATE_RUNNING")
        self.assertIn("everything_ends", self.story.violations())


