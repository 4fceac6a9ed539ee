import copy

from story import ENDED, JOB, LEASED, LINE, PromiseTest, change


class EventsTest(PromiseTest):
    def test_acknowledged_news_is_lost(self):
        self.story.stored[LINE] = self.story.watched[1] = {"seq": 3, "kind": "progress"}
        self.story.told = [entry for entry in self.story.told if entry.get("kind") != "log"]
        self.expect("acknowledged_news_is_stored")

    def test_news_is_stored_twice(self):
        self.story.stored.append({"seq": 5, "kind": "log", "line": "w says 1"})
        self.expect("acknowledged_news_is_stored")

    def test_refused_news_is_stored(self):
        self.story.call("heartbeat", "refused", process="w", uid="u", attempt=1, token="t1", line="w says 2", checkpoint="")
        self.story.stored.append({"seq": 5, "kind": "log", "line": "w says 2"})
        self.expect("acknowledged_news_is_stored")

    def test_an_event_is_missing(self):
        del self.story.stored[LEASED]
        self.assertIn("events_are_kept_without_gaps", self.story.violations())

    def test_progress_may_take_the_place_of_progress(self):
        self.story.stored.insert(3, {"seq": 5, "kind": "progress"})
        self.story.stored[4]["seq"] = 6
        self.story.watched[2].update(seq=4, kind="progress")
        self.story.write("event", watch="x", uid="u", **self.story.stored[4])
        self.expect()

    def test_states_do_not_follow_each_other(self):
        self.story.stored[ENDED]["from"] = "JOB_STATE_PENDING"
        self.assertIn("events_are_kept_without_gaps", self.story.violations())

    def test_the_job_is_not_where_its_events_led(self):
        self.story.stored.append(change(5, "SF"))
        self.expect("events_are_kept_without_gaps")

    def test_a_later_event_is_an_earlier_commit(self):
        self.story.stored[LEASED]["commit"], self.story.stored[LINE]["commit"] = 3, 2
        self.expect("commits_are_in_one_order")

    def test_a_job_is_committed_before_what_was_told_before_its_creation(self):
        self.story.call("create", operation="p", request_id="", tenant="default", uid="v", name=f"{JOB}-v",
                        state="JOB_STATE_PENDING")
        self.story.another_job("v", change(1, "-C", 0), operation="p")
        self.expect()
        self.story.others[0]["commit"] = 2
        self.expect("commits_are_in_one_order")

    def test_a_watch_leaves_an_event_out(self):
        self.story.told.remove(self.story.watched[1])
        self.expect("watches_are_gap_free")

    def test_a_watch_leaves_the_first_event_after_its_snapshot_out(self):
        self.story.stored.insert(1, {"seq": 2, "kind": "log", "line": "early"})
        for later in self.story.stored[2:]:
            later["seq"] += 1
        for entry in self.story.watched:
            entry["seq"] += 1
        self.story.lease["seq"] = 3
        self.expect("watches_are_gap_free")

    def test_a_watch_may_leave_progress_out(self):
        self.story.stored[LINE] = {"seq": 3, "kind": "progress"}
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
        self.story.call("delete", name=JOB, about="u")
        self.story.told.remove(self.story.watched[0])
        self.expect("watches_are_gap_free")

    def test_a_watch_ends_before_the_job(self):
        self.story.told.remove(self.story.watched[-1])
        self.expect("watches_are_gap_free")

    def test_a_snapshot_is_older_than_where_the_watch_goes_on(self):
        snapshot = next(entry for entry in self.story.told if entry.get("kind") == "snapshot")
        snapshot["position"] = 2
        self.story.told.remove(self.story.watched[0])
        self.assertIn("snapshots_are_of_one_moment", self.story.violations())
