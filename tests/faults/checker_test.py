"""The campaign's checker, fed with histories that break one promise each."""
import copy
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import checker  # noqa: E402

JOB = "tenants/default/jobs/a"
OUTPUT = "tenants/default/blobs/" + "0" * 64
CREATED, RUNNING, ENDED = 0, 1, 3  # where these events stand in the list of Story.stored


class Story:
    """A job that is created, leased, worked on and completed, with a follower; and nothing wrong with it."""

    def __init__(self):
        self.told = []
        self.clock = 0
        self.stored = [
            {"seq": 1, "kind": "state_change", "from": "JOB_STATE_UNSPECIFIED", "to": "JOB_STATE_PENDING"},
            {"seq": 2, "kind": "state_change", "from": "JOB_STATE_PENDING", "to": "JOB_STATE_RUNNING"},
            {"seq": 3, "kind": "log", "line": "w says 1"},
            {"seq": 4, "kind": "state_change", "from": "JOB_STATE_RUNNING", "to": "JOB_STATE_SUCCEEDED"}]
        self.job = {"entry": "job", "uid": "u", "name": JOB, "state": "JOB_STATE_SUCCEEDED", "operation": "o",
                    "outputs": [OUTPUT], "photos": []}
        self.jobs = [self.job]
        self.blobs = {OUTPUT: "0" * 64}
        self.call("create", operation="o", request_id="r", name=JOB, uid="u")
        self.lease = self.call("acquire", process="w", leased=True, uid="u", name=JOB, attempt=1, token="t1")
        self.call("heartbeat", process="w", uid="u", attempt=1, token="t1", line="w says 1")
        self.call("upload", process="w", blob=OUTPUT)
        self.completion = self.call("complete", process="w", uid="u", attempt=1, token="t1", outputs=[OUTPUT])
        self.write("watch", watch="x", uid="u")
        self.write("event", watch="x", uid="u", seq=0, kind="snapshot", state="JOB_STATE_PENDING")
        self.watched = [self.write("event", watch="x", uid="u", **event) for event in self.stored[1:]]
        self.end = self.write("watched", watch="x", uid="u", result="ok")

    def write(self, entry, **facts):
        self.clock += 1
        self.told.append({"entry": entry, "at": self.clock, **facts})
        return self.told[-1]

    def call(self, op, result="ok", process="c", **facts):
        number = f"{process}.{self.clock}"
        self.write("call", call=number, op=op, process=process, **facts)
        return self.write("reply", call=number, op=op, process=process, result=result, reason="", **facts)

    def violations(self):
        """The names of the checks that found something."""
        entries = copy.deepcopy(self.told) + self.jobs
        entries += [{"entry": "stored", "uid": "u", "committed": event["seq"], **event} for event in self.stored]
        entries += [{"entry": "blob", "blob": blob, "digest": digest} for blob, digest in self.blobs.items()]
        return sorted({violation.split(":")[0] for violation in checker.check(entries)})


class CheckerTest(unittest.TestCase):
    def setUp(self):
        self.story = Story()

    def expect(self, *violations):
        self.assertEqual(self.story.violations(), sorted(violations))

    def test_nothing_wrong(self):
        self.expect()

    def lose_the_job(self):
        self.story.jobs.clear()
        self.story.stored.clear()

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
        self.story.jobs.append({**self.story.job, "uid": "u2", "state": "JOB_STATE_CANCELLED", "outputs": []})
        self.expect("nothing_happens_twice")

    def test_one_retry_puts_a_job_back_twice(self):
        again = [{"seq": 5, "kind": "state_change", "from": "JOB_STATE_SUCCEEDED", "to": "JOB_STATE_FAILED"}]
        for seq in (6, 8):
            again.append({"seq": seq, "kind": "state_change", "from": "JOB_STATE_FAILED", "to": "JOB_STATE_PENDING",
                          "reason": "retried by the client"})
            again.append({"seq": seq + 1, "kind": "state_change", "from": "JOB_STATE_PENDING", "to": "JOB_STATE_FAILED"})
        self.story.stored += again[:-1] + [{**again[-1], "to": "JOB_STATE_SUCCEEDED"}]
        self.story.call("retry", name=JOB, uid="u")
        self.assertIn("nothing_happens_twice", self.story.violations())
        self.story.call("retry", result="unknown", name=JOB, about="u")
        self.assertNotIn("nothing_happens_twice", self.story.violations())

    def test_a_refused_creation_makes_a_job(self):
        self.story.call("create", result="refused", operation="p", request_id="")
        self.story.jobs.append({**self.story.job, "uid": "u2", "state": "JOB_STATE_CANCELLED", "outputs": [], "operation": "p"})
        self.expect("refused_creations_made_nothing")

    def test_a_request_id_is_answered_with_two_jobs(self):
        self.story.call("create", operation="o", request_id="r", name=JOB + "b", uid="u2")
        self.story.jobs.append({**self.story.job, "uid": "u2", "state": "JOB_STATE_CANCELLED", "outputs": [], "operation": ""})
        self.expect("request_ids_are_idempotent")

    def test_a_request_id_whose_job_was_deleted_makes_another(self):
        self.story.call("delete", name=JOB, about="u")
        self.lose_the_job()
        self.story.call("create", operation="o", request_id="r", name=JOB + "b", uid="u2")
        self.story.jobs.append({**self.story.job, "uid": "u2", "state": "JOB_STATE_CANCELLED", "outputs": []})
        self.expect()

    def test_two_workers_lease_the_same_attempt(self):
        self.story.call("acquire", process="v", leased=True, uid="u", name=JOB, attempt=1, token="t2")
        self.expect("leases_are_exclusive")

    def test_two_completions_are_accepted(self):
        self.story.call("acquire", process="v", leased=True, uid="u", name=JOB, attempt=2, token="t2")
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
        for op in checker.LEASE_CALLS:
            with self.subTest(op):
                self.setUp()
                self.story.call("acquire", process="v", leased=True, uid="u", name=JOB, attempt=2, token="t2")
                self.story.stored.append({"seq": 5, "kind": "log", "line": "w says 2"})
                self.story.call(op, process="w", uid="u", attempt=1, token="t1", outputs=[OUTPUT], line="w says 2")
                self.expect("stale_tokens_are_refused")

    def test_a_stale_token_that_is_refused_is_as_it_should_be(self):
        self.story.call("acquire", process="v", leased=True, uid="u", name=JOB, attempt=2, token="t2")
        self.story.call("complete", "refused", process="w", uid="u", attempt=1, token="t1", outputs=[])
        self.expect()

    def test_acknowledged_news_is_lost(self):
        self.story.stored[2] = self.story.watched[1] = {"seq": 3, "kind": "progress"}
        self.story.told = [entry for entry in self.story.told if entry.get("kind") != "log"]
        self.expect("acknowledged_news_is_stored")

    def test_news_is_stored_twice(self):
        self.story.stored.append({"seq": 5, "kind": "log", "line": "w says 1"})
        self.expect("acknowledged_news_is_stored")

    def test_refused_news_is_stored(self):
        self.story.call("heartbeat", "refused", process="w", uid="u", attempt=1, token="t1", line="w says 2")
        self.story.stored.append({"seq": 5, "kind": "log", "line": "w says 2"})
        self.expect("acknowledged_news_is_stored")

    def test_a_cancelled_job_succeeds(self):
        self.story.call("cancel", name=JOB, uid="u")
        self.expect("cancelled_jobs_do_not_succeed")

    def test_a_cancelled_job_that_was_retried_may_succeed(self):
        self.story.call("cancel", name=JOB, uid="u")
        self.story.call("retry", result="unknown", name=JOB, about="u")
        self.expect()

    def test_a_cancelling_job_succeeds(self):
        self.story.stored[2] = {"seq": 3, "kind": "state_change", "from": "JOB_STATE_RUNNING", "to": "JOB_STATE_CANCELLING"}
        self.story.stored[ENDED]["from"] = "JOB_STATE_CANCELLING"
        self.assertIn("cancelled_jobs_do_not_succeed", self.story.violations())

    def test_an_event_is_missing(self):
        del self.story.stored[RUNNING]
        self.assertIn("events_are_kept_without_gaps", self.story.violations())

    def test_progress_may_take_the_place_of_progress(self):
        self.story.stored.insert(3, {"seq": 5, "kind": "progress"})
        self.story.stored[4]["seq"] = 6
        self.story.watched[2].update(seq=4, kind="progress")
        self.story.write("event", watch="x", uid="u", **self.story.stored[4])
        self.story.told.remove(self.story.end)
        self.story.told.append(self.story.end)
        self.expect()

    def test_states_do_not_follow_each_other(self):
        self.story.stored[ENDED]["from"] = "JOB_STATE_PENDING"
        self.assertIn("events_are_kept_without_gaps", self.story.violations())

    def test_the_job_is_not_where_its_events_led(self):
        self.story.stored.append({"seq": 5, "kind": "state_change", "from": "JOB_STATE_SUCCEEDED", "to": "JOB_STATE_FAILED"})
        self.expect("events_are_kept_without_gaps")

    def test_a_watch_leaves_an_event_out(self):
        self.story.told.remove(self.story.watched[1])
        self.expect("watches_are_gap_free")

    def test_a_watch_may_leave_progress_out(self):
        self.story.stored[2] = {"seq": 3, "kind": "progress"}
        self.story.stored.insert(3, {"seq": 4, "kind": "log", "line": "w says 1"})
        self.story.stored[4]["seq"] = 5
        self.story.watched[1]["seq"] = 4
        self.story.watched[2]["seq"] = 5
        self.expect()

    def test_a_watch_repeats_an_event(self):
        self.story.told.insert(-1, copy.deepcopy(self.story.watched[1]))
        self.expect("watches_are_gap_free")

    def test_a_watch_goes_back(self):
        first, second = self.story.watched[:2]
        first["seq"], second["seq"] = 3, 2
        self.assertIn("watches_are_gap_free", self.story.violations())

    def test_a_watch_shows_what_did_not_happen(self):
        self.story.watched[1]["line"] = "w says 7"
        self.expect("watches_are_gap_free")

    def test_a_watch_skips_a_state(self):
        self.story.jobs.clear()  # deleted: nothing is stored to compare with
        self.story.stored.clear()
        self.story.call("delete", name=JOB, about="u")
        self.story.told.remove(self.story.watched[0])
        self.expect("watches_are_gap_free")

    def test_a_watch_ends_before_the_job(self):
        self.story.told.remove(self.story.watched[-1])
        self.expect("watches_are_gap_free")

    def test_a_blob_is_corrupt(self):
        self.story.blobs[OUTPUT] = "f" * 64
        self.expect("artefacts_equal_their_digests")

    def test_a_blob_is_missing(self):
        self.story.blobs[OUTPUT] = ""
        self.expect("artefacts_equal_their_digests")

    def test_a_client_reads_wrong_bytes(self):
        self.story.call("read", blob=OUTPUT, digest="f" * 64)
        self.expect("artefacts_equal_their_digests")

    def test_a_checkpoint_is_missing(self):
        self.story.call("read checkpoint", result="refused", blob=OUTPUT)["reason"] = "BLOB_NOT_FOUND"
        self.expect("artefacts_equal_their_digests")

    def test_only_what_no_job_names_may_be_collected(self):
        self.story.write("collection")
        self.story.call("upload", blob="b")
        self.assertEqual(self.story.violations(), [])
        self.story.blobs[OUTPUT] = ""
        self.expect("artefacts_equal_their_digests")

    def test_a_blob_was_not_looked_at(self):
        self.story.blobs.clear()
        self.expect("artefacts_equal_their_digests")

    def test_pictures_are_not_the_jobs(self):
        self.story.write("drawn", operation="d", uid="u", result="ok", pictures=[])
        self.expect("pictures_come_from_jobs_that_succeeded")

    def test_more_jobs_wait_or_run_than_allowed(self):
        self.story.stored[CREATED]["reason"] = "created"
        for quota, broken in (((0, 1), True), ((1, 0), True), ((1, 1), False)):
            with self.subTest(quota):
                self.story.told[:] = [entry for entry in self.story.told if entry["entry"] != "quota"]
                self.story.write("quota", pending=quota[0], running=quota[1])
                self.assertEqual("quotas_are_kept" in self.story.violations(), broken)

    def test_a_job_does_not_end(self):
        self.story.job.update(state="JOB_STATE_RUNNING")
        self.assertIn("everything_ends", self.story.violations())

    def test_every_check_is_seen_to_fail(self):
        """Each name in CHECKS is expected by some test above."""
        text = pathlib.Path(__file__).read_text()
        for check in checker.CHECKS:
            self.assertIn(f'"{check.__name__}"', text)


if __name__ == "__main__":
    unittest.main()
