from promises.facts import CREATION
from story import JOB, OUTPUT, PromiseTest, change

MORE = "tenants/default/blobs/" + "1" * 64


class QuotasTest(PromiseTest):
    def quota(self, **has):
        self.story.told[:] = [entry for entry in self.story.told if entry["entry"] != "quota"]
        self.story.write("quota", tenant="default", **has)

    def test_more_jobs_wait_or_run_than_allowed(self):
        for pending, running, broken in ((0, 1, True), (1, 0, True), (1, 1, False), (None, None, False)):
            with self.subTest((pending, running)):
                self.quota(pending=pending, running=running)
                self.assertEqual("quotas_are_kept" in self.story.violations(), broken)

    def test_jobs_are_counted_in_the_order_of_commits_whatever_the_clock_said(self):
        self.quota(pending=1, running=1)
        self.story.another_job("v", change(1, "-P", 0, CREATION), change(2, "PR"), change(3, "RF"))
        self.expect()
        for event, commit in zip(self.story.others, (1.2, 3, 5)):  # before the other one ended
            event["commit"] = commit
        self.expect("quotas_are_kept")

    def test_more_bytes_are_stored_than_allowed(self):
        self.quota(stored_bytes=100)
        self.story.write("bytes", tenant="default", bytes=100 + 10)  # 10 of them by a worker
        self.expect()
        self.story.write("bytes", tenant="default", bytes=1)
        self.expect("stored_bytes_are_bounded")

    def test_what_workers_store_is_beside_the_limit_of_bytes(self):
        self.quota(stored_bytes=100)
        self.story.blobs[MORE] = "1" * 64
        self.story.call("upload", process="w", blob=MORE, size=95)
        self.story.write("bytes", tenant="default", bytes=10 + 95)
        self.expect()
        self.story.write("bytes", tenant="default", bytes=101)
        self.expect("stored_bytes_are_bounded")

    def test_bytes_are_taken_for_which_there_is_no_room(self):
        self.quota(stored_bytes=100)
        for size, broken in ((90, []), (91, ["stored_bytes_are_bounded"])):
            with self.subTest(size):
                self.story.blobs[MORE] = "1" * 64
                call = self.story.call("upload", blob=MORE, size=size)
                self.expect(*broken)
                call["process"] = "w1.0"
                self.expect()
                self.story.told.remove(call)

    def test_bytes_may_be_on_their_way_when_others_are_stored(self):
        self.quota(stored_bytes=100)
        self.story.blobs[MORE] = "1" * 64
        first = self.story.call("upload", result="unknown", blob=MORE, size=91)
        self.story.told[-2]["at"] = first["at"] = self.story.creation["at"]  # it reached the disk, and nobody was told
        self.story.call("upload", blob=MORE, size=91)
        self.expect()

    def test_bytes_are_refused_for_which_there_is_room(self):
        self.quota(stored_bytes=100)
        self.story.call("upload", result="refused", blob=OUTPUT, size=10, reason="QUOTA_EXCEEDED")
        self.expect()
        self.quota(stored_bytes=1_000_000)
        self.expect("stored_bytes_are_bounded")

    def lease(self, token):
        self.story.call("acquire", process="v", leased=True, uid="u", name=JOB, attempt=int(token), token=token, checkpoint="")

    def test_a_lease_comes_after_the_time_is_used_up(self):
        self.quota(worker_seconds=1)
        self.lease("2")
        self.story.clock += 2
        self.story.call("release", process="v", uid="u", attempt=2, token="2")
        self.expect()
        self.lease("3")
        self.expect("worker_time_is_bounded")

    def lease_for(self, token, *happenings, seconds=2):
        """A lease of so many seconds, in the middle of which something happens."""
        self.lease(token)
        self.story.clock += seconds / 2
        for happening in happenings:
            happening()
        self.story.clock += seconds / 2
        self.story.call("release", process="v", uid="u", attempt=int(token), token=token)

    def restart(self):
        self.story.write("fault", kind="kill server", worker="w", seconds=0)
        self.story.write("served")

    def heartbeat(self):
        self.story.call("heartbeat", process="v", uid="u", attempt=2, token="2", line="v says 1", checkpoint="")

    def test_time_since_a_workers_last_answer_before_a_restart_is_not_charged(self):
        self.quota(worker_seconds=1)
        self.lease_for("2", self.restart)
        self.lease("3")
        self.expect()

    def test_time_before_a_heartbeat_is_charged_whatever_restarts_after_it(self):
        self.quota(worker_seconds=1)
        self.lease_for("2", self.heartbeat, self.restart, seconds=4)
        self.lease("3")
        self.assertIn("worker_time_is_bounded", self.story.violations())

    def test_a_lease_ends_when_its_end_is_first_asked_for(self):
        self.quota(worker_seconds=1)
        self.lease("2")
        for result in ("unknown", "ok"):
            self.story.call("release", result=result, process="v", uid="u", attempt=2, token="2")
            self.story.clock += 2
        self.lease("3")
        self.expect()
