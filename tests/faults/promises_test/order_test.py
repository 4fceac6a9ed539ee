from promises.facts import CREATION
from story import JOB, PromiseTest, change


class OrderTest(PromiseTest):
    def wait_beside(self, priority, first):
        """Another job, committed before the story's or right after it, waits while that is leased."""
        self.story.another_job("v", change(1, "-P", 0, CREATION), change(2, "PC", 0), priority=priority)
        self.story.others[0]["commit"] = 0.5 if first else 1.5
        call = self.story.call("create", operation="o-v", request_id="", tenant="default", uid="v", name=f"{JOB}-v",
                               state="JOB_STATE_PENDING", seq=1, attempt=0)
        moment = self.story.creation["at"]
        call["at"] = moment
        self.story.told[-2]["at"] = moment - 0.005

    def test_a_more_urgent_job_waits(self):
        self.wait_beside(priority=5, first=False)
        self.expect("urgent_jobs_go_first")

    def test_an_older_job_of_the_same_priority_waits(self):
        self.wait_beside(priority=3, first=True)
        self.expect("urgent_jobs_go_first")

    def test_a_later_or_less_urgent_job_may_wait(self):
        for priority, first in ((3, False), (1, True)):
            with self.subTest((priority, first)):
                self.setUp()
                self.wait_beside(priority, first)
                self.expect()

    def test_a_moved_clock_may_change_the_order(self):
        self.wait_beside(priority=5, first=False)
        self.story.told.insert(0, {"entry": "fault", "kind": "move clock", "at": 0, "worker": "", "seconds": 0})
        self.expect()
