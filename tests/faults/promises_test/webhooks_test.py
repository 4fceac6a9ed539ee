from story import STATES, PromiseTest


class WebhooksTest(PromiseTest):
    def setUp(self):
        super().setUp()
        self.story.job["webhook"] = True
        self.calls = [self.tell(event) for event in self.story.stored if event["kind"] == "state_change"]

    def tell(self, event, code=200, **facts):
        call = {"id": f"id-{event['seq']}", "uid": "u", "signed": True, "kind": "stateChange",
                **{key: event[key] for key in ("seq", "from", "to", "reason", "attempt")}, **facts}
        called = self.story.write("called", delivery=len(self.story.told), **call)
        if code:
            self.story.write("answered", id=call["id"], delivery=called["delivery"], code=code)
        return called

    def test_every_change_was_told(self):
        self.expect()

    def test_a_change_was_not_told(self):
        self.story.told.remove(self.calls[1])
        self.expect("webhooks_tell_every_change")

    def test_a_change_was_told_and_nobody_listened(self):
        for entry in self.story.told:
            if entry["entry"] == "answered" and entry["id"] == "id-2":
                entry["code"] = 500
        self.expect("webhooks_tell_every_change")

    def test_a_call_may_be_repeated_until_it_is_answered(self):
        self.story.told = [entry for entry in self.story.told if entry.get("id") != "id-4"]
        for code in (0, 500, 200):
            self.tell(self.story.stored[3], code=code)
        self.expect()

    def test_a_call_is_repeated_that_was_answered(self):
        self.tell(self.story.stored[3])
        self.expect("webhooks_are_not_repeated_without_need")

    def test_a_server_that_was_killed_may_repeat_it(self):
        self.tell(self.story.stored[3])
        self.story.told.append({"entry": "fault", "kind": "kill server", "at": self.story.clock, "worker": "", "seconds": 0})
        self.expect()

    def test_a_change_is_told_that_did_not_happen(self):
        self.calls[1]["to"] = STATES["F"]
        self.expect("webhooks_invent_nothing")

    def test_a_call_is_not_signed(self):
        self.calls[1]["signed"] = False
        self.expect("webhooks_invent_nothing")

    def test_a_job_without_a_webhook_is_told_of(self):
        self.story.job["webhook"] = False
        self.expect("webhooks_invent_nothing")
