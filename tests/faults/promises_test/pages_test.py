import copy

from story import CREATION, JOB, LINE, PromiseTest, change


class PagesTest(PromiseTest):
    """A page that listed the job when it was created, and followed it to its end."""

    def setUp(self):
        super().setUp()
        self.page = self.write("page", filter="", complete=True, jobs=[self.story.shown("P", 1, 0, outputs=[])],
                               at=self.story.creation["at"])
        self.write("stream", at=self.story.creation["at"])
        self.changes = [self.tell(event) for event in self.story.stored[1:]]
        self.end = self.write("streamed", result="unknown", reason="DEADLINE_EXCEEDED")

    def write(self, entry, **facts):
        return self.story.write(entry, page="p", tenant="default", **facts)

    def tell(self, event, name=JOB):
        return self.write("change", name=name, **event)

    def resume(self):
        """A second stream, and what comes after."""
        self.write("stream")

    def test_a_page_is_kept_up_to_date(self):
        self.expect()

    def test_a_change_of_state_is_left_out(self):
        self.story.told.remove(self.changes[0])
        self.expect("pages_have_no_gaps")

    def test_a_line_is_left_out(self):
        self.story.told.remove(self.changes[1])
        self.expect("pages_have_no_gaps")

    def test_a_line_that_is_as_old_as_the_list_may_be_left_out(self):
        self.page["jobs"][0].update(self.story.shown("R", 2))
        self.story.told = [entry for entry in self.story.told if entry not in self.changes[:2]]
        self.expect()

    def test_progress_may_be_left_out(self):
        self.story.stored[LINE] = {"seq": 3, "kind": "progress"}
        self.story.told = [entry for entry in self.story.told if entry.get("kind") != "log" and entry is not self.story.heartbeat]
        self.expect()

    def test_what_is_newer_than_the_token_may_be_in_the_list_already(self):
        self.page["jobs"][0].update(self.story.shown("S", 4))
        self.expect()

    def test_the_first_event_of_a_job_that_was_created_later_is_left_out(self):
        self.page["jobs"].clear()
        self.expect("pages_have_no_gaps")
        self.page["complete"] = False  # it may stand on another page
        self.expect()

    def test_what_did_not_happen_is_told(self):
        self.changes[1]["line"] = "w says 7"
        self.expect("pages_have_no_gaps")

    def test_a_deletion_that_did_not_happen_is_told(self):
        self.tell({"seq": 0, "kind": "deleted"})
        self.expect("pages_have_no_gaps")

    def test_an_event_is_told_twice(self):
        self.story.told.insert(self.story.told.index(self.end), copy.deepcopy(self.changes[1]))
        self.expect("pages_repeat_events_only_after_a_resume")

    def test_events_are_told_again_after_a_resume(self):
        self.resume()
        for event in self.story.stored[2:]:
            self.tell(event)
        self.expect()

    def test_a_resume_leaves_an_event_out(self):
        self.story.told = [entry for entry in self.story.told if entry not in self.changes[1:]]
        self.resume()
        self.tell(self.story.stored[3])
        self.expect("pages_have_no_gaps")

    def test_a_name_that_a_client_chose_may_be_used_again(self):
        self.story.creation["job_id"] = "a"
        self.tell({"seq": 0, "kind": "deleted"})
        self.tell(change(1, "-P", 0, CREATION))
        self.expect()

    def test_a_page_waits_long(self):
        self.story.told.remove(self.changes[-1])
        self.end["at"] += 1
        self.expect()
        self.end["at"] += 2
        self.expect("pages_are_told_soon")

    def test_a_page_of_drawings_hears_nothing_of_trainings(self):
        self.story.job["method"] = "dreambooth"
        self.page.update(filter="method = generate", jobs=[])
        self.story.told = [entry for entry in self.story.told if entry not in self.changes]
        self.end["at"] += 5
        self.expect()

    def test_a_page_hears_of_no_deletion(self):
        self.story.call("delete", name=JOB, about="u")
        self.story.jobs.clear()
        self.end["at"] += 5
        self.expect("pages_are_told_soon")
        self.story.told.insert(self.story.told.index(self.end),
                               {**self.changes[-1], "seq": 0, "kind": "deleted"})
        self.expect()

    def test_another_tenant_is_told(self):
        self.tell({"seq": 0, "kind": "deleted"}, name="tenants/guest/jobs/b")
        self.expect("tenants_are_apart")
