from story import JOB, PromiseTest, change


class ReadsTest(PromiseTest):
    def test_a_read_after_the_end_shows_the_end(self):
        self.story.call("get", about="u", **self.story.shown("S", 4))
        self.expect()

    def test_a_read_shows_what_others_saw_pass(self):
        self.story.call("get", about="u", **self.story.shown("R", 2))
        self.expect("reads_are_fresh")

    def test_a_read_that_began_before_may_show_it(self):
        self.story.call("get", about="u", **self.story.shown("R", 2))["at"] += 1
        call = self.story.told[-2]
        call["at"] = self.story.heartbeat["at"]
        self.expect()

    def test_a_read_is_older_than_another_jobs_news(self):
        """Everything is committed in one order: whoever sees a commit sees all before it."""
        self.story.another_job("v", change(1, "-P", 0), change(2, "PC", 0))
        self.story.others[1]["commit"] = 3
        self.story.others[0]["commit"] = 2
        self.story.call("get", about="v", uid="v", name=f"{JOB}-v", state="JOB_STATE_PENDING", seq=1, attempt=0)
        self.expect("reads_are_fresh")

    def test_a_read_shows_what_was_never_stored(self):
        self.story.call("get", about="u", **self.story.shown("F", 4))
        self.expect("reads_show_what_is_stored")

    def test_a_read_shows_outputs_too_early(self):
        outputs = self.story.job["outputs"]
        self.story.call("cancel", result="ok", about="u", **self.story.shown("R", 2, outputs=outputs))
        self.assertIn("reads_show_what_is_stored", self.story.violations())

    def test_a_job_that_is_there_is_not_found(self):
        self.story.call("get", result="refused", about="u", name=JOB, reason="JOB_NOT_FOUND")
        self.expect("reads_are_fresh")

    def test_a_deleted_job_is_shown(self):
        self.story.call("delete", about="u", name=JOB)
        self.story.jobs.clear()
        self.story.call("get", about="u", **self.story.shown("S", 4))
        self.expect("reads_are_fresh")

    def list(self, *jobs, listed_by="", more=False):
        self.story.call("list", tenant="default", filter=listed_by, jobs=list(jobs), more=more)

    def later(self):
        """Somebody creates another job, so that it is known what was committed by now."""
        self.story.call("create", operation="p", request_id="", tenant="default", uid="z", name=f"{JOB}-z",
                        state="JOB_STATE_PENDING")
        self.story.another_job("z", change(1, "-C", 0), operation="p")

    def test_a_list_shows_all(self):
        self.list(self.story.shown("S", 4))
        self.later()
        self.expect()

    def test_a_list_leaves_a_job_out(self):
        self.list()
        self.later()
        self.expect("lists_are_of_one_moment")

    def test_a_creation_that_is_asked_for_again_is_not_a_later_one(self):
        """A job was seen to run, and may have ended when the list was made."""
        self.story.another_job("v", change(1, "-P", 0), change(2, "PR"), change(3, "RF"))
        self.story.call("get", about="v", uid="v", name=f"{JOB}-v", state="JOB_STATE_RUNNING", seq=2, attempt=1)
        self.list(listed_by="state = RUNNING")
        self.story.call("create", operation="o", request_id="r", tenant="default", **self.story.shown("S", 4))
        self.expect()

    def test_a_list_may_leave_out_what_does_not_match(self):
        self.list(listed_by="state = RUNNING")
        self.later()
        self.expect()

    def test_a_page_may_leave_out_what_comes_on_the_next(self):
        self.story.another_job("v", change(1, "-C", 0))
        self.list({"uid": "v", "name": f"{JOB}-v", "state": "JOB_STATE_CANCELLED", "seq": 1, "attempt": 0}, more=True)
        self.later()
        self.expect()

    def test_a_list_is_torn(self):
        self.story.another_job("v", change(1, "-P", 0), change(2, "PC", 0))
        self.story.others[0]["commit"], self.story.others[1]["commit"] = 0, 2
        self.list({"uid": "v", "name": f"{JOB}-v", "state": "JOB_STATE_PENDING", "seq": 1, "attempt": 0},
                  self.story.shown("S", 4))
        self.assertIn("lists_are_of_one_moment", self.story.violations())
