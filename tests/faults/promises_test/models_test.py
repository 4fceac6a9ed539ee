from story import JOB, OUTPUT, PromiseTest

MODEL = "tenants/default/models/m"


class ModelsTest(PromiseTest):
    def setUp(self):
        super().setUp()
        self.story.job["makes"] = MODEL
        self.model = {"model": MODEL, "job": JOB, "files": [OUTPUT]}
        self.story.jobs.append({"entry": "model", "at": 0, **self.model})

    def lose_the_model(self):
        del self.story.jobs[-1]

    def test_the_model_is_there(self):
        self.story.call("get model", **self.model)
        self.story.call("list models", tenant="default", models=[self.model], more=False)
        self.expect()

    def test_a_model_has_other_files_than_its_job_made(self):
        self.story.call("get model", **{**self.model, "files": []})
        self.expect("models_are_what_their_jobs_made")

    def test_a_model_of_a_job_before_of_the_same_name_has_other_files(self):
        asked = {"process": "c", "call": "c.before", "op": "list models"}
        self.story.told[:0] = [{"entry": "call", "at": -2, **asked},
                               {"entry": "reply", "at": -1, "result": "ok", "reason": "", "tenant": "default", "more": False,
                                "models": [{**self.model, "files": []}], **asked}]
        self.expect()

    def test_an_acknowledged_model_is_lost(self):
        self.lose_the_model()
        self.expect("acknowledged_models_survive")

    def test_a_model_that_is_there_is_not_found(self):
        self.story.call("get model", result="refused", model=MODEL, reason="MODEL_NOT_FOUND")
        self.expect("acknowledged_models_survive")

    def test_a_deleted_model_is_gone(self):
        self.story.call("delete model", model=MODEL)
        self.lose_the_model()
        self.story.call("get model", result="refused", model=MODEL, reason="MODEL_NOT_FOUND")
        self.expect()

    def test_a_deleted_model_is_shown(self):
        self.story.call("delete model", model=MODEL)
        self.lose_the_model()
        self.story.call("get model", **self.model)
        self.expect("deleted_models_are_gone")

    def draw_with_it(self, files):
        self.story.job["draws_with"] = MODEL
        self.story.lease["model_files"] = files

    def test_a_worker_is_given_the_models_files(self):
        self.draw_with_it([OUTPUT])
        self.expect()

    def test_a_worker_is_given_other_files(self):
        self.draw_with_it([OUTPUT[:-1] + "1"])
        self.expect("leases_name_the_models_files")
