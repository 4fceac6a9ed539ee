from story import JOB, PromiseTest


class TenantsTest(PromiseTest):
    def test_nobody_is_told_of_anothers_job(self):
        self.story.call("trespass", result="refused", name=JOB, reason="JOB_NOT_FOUND")
        self.expect()

    def test_somebody_is_answered_about_anothers_job(self):
        self.story.call("trespass", name=JOB)
        self.expect("tenants_are_apart")

    def test_a_refusal_tells_that_the_job_is_there(self):
        self.story.call("trespass", result="refused", name=JOB, reason="JOB_FINISHED")
        self.expect("tenants_are_apart")

    def test_a_list_shows_anothers_job(self):
        self.story.call("list", tenant="guest", filter="", jobs=[self.story.shown("S", 4)], more=False)
        self.expect("tenants_are_apart")
