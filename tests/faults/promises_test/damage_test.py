from story import JOB, OUTPUT, PromiseTest


class DamageTest(PromiseTest):
    def damage(self, started=True, said=""):
        self.story.write("damaged copy", copy=0, what="a flip", started=started, said=said)

    def find(self, **facts):
        self.story.write("found", copy=0, asked=JOB, **{"result": "ok", **self.story.shown("S", 4, outputs=[OUTPUT]), **facts})

    def test_what_is_right_may_be_served(self):
        self.damage()
        self.find()
        self.story.write("found", copy=0, asked=JOB, result="refused", reason="STORE_DAMAGED")
        self.expect()

    def test_something_else_is_served(self):
        self.damage()
        self.find(state="JOB_STATE_FAILED")
        self.expect("damaged_data_is_not_served")

    def test_a_job_is_denied(self):
        self.damage()
        self.story.write("found", copy=0, asked=JOB, result="refused", reason="JOB_NOT_FOUND")
        self.expect("damaged_data_is_not_served")

    def test_what_the_last_transaction_did_may_be_missing_where_the_server_says_so(self):
        self.damage()
        self.find(state="JOB_STATE_RUNNING", seq=2)
        self.expect("damaged_data_is_not_served")
        self.story.told[-2]["left_out"] = True
        self.expect()

    def test_a_server_says_why_it_does_not_start(self):
        self.damage(started=False, said="jobs.sqlite is damaged")
        self.expect()

    def test_a_server_does_not_say_why_it_does_not_start(self):
        self.damage(started=False, said="error 11")
        self.expect("damage_is_named_at_the_start")
