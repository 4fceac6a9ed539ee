"""An actor that creates, follows, cancels, retries and deletes jobs and models: whatever comes to its mind."""
import grpc

from actors.base import BASE_MODEL, Actor, State, job_facts, photo
from actors.following import Following
from actors.page import Page
from service import job_service_pb2, job_service_pb2_grpc
from likeness.v1 import model_service_pb2, model_service_pb2_grpc

ENDED = (State.JOB_STATE_SUCCEEDED, State.JOB_STATE_FAILED, State.JOB_STATE_CANCELLED)
FILTERS = ["", "state = RUNNING", "state = FAILED OR state = CANCELLED", "method = generate"]


def model_facts(model):
    return {"model": model.name, "job": model.job, "files": [file.blob for file in model.files]}


class Client(Actor):
    MOST_OPEN = 12  # jobs that have not ended, as far as it knows

    def __init__(self, settings, name, address, tenant):
        super().__init__(settings, name, address, tenant)
        self.tenant = tenant
        self.jobs = job_service_pb2_grpc.JobServiceStub(self.channel)
        self.models = model_service_pb2_grpc.ModelServiceStub(self.channel)
        self.open = {}  # uid: name
        self.known = []  # (uid, name)
        self.blobs = []  # names
        self.made = []  # names of models that were asked for
        self.asked = []  # creations with a request id, as (request, what was said of it)
        self.following = Following(self)
        self.page = Page(self)

    def run(self):
        actions = {self.create: 30, self.create_again: 5, self.cancel: 6, self.retry: 7, self.look: 14, self.list: 8, self.delete: 5,
                   self.store: 5, self.read: 6, self.following.watch: 12, self.following.wait: 8, self.following.generate: 4,
                   self.page.open: 5, self.look_at_model: 6, self.list_models: 4, self.delete_model: 2, self.trespass: 2}
        while not self.stopping():
            self.rng.choices(list(actions), list(actions.values()))[0]()
            self.pause(0.005, 0.08)
        self.following.join()

    def remember(self, job):
        if (job.uid, job.name) not in self.known:
            self.known.append((job.uid, job.name))
            del self.known[:-200]
        if job.state in ENDED:
            self.open.pop(job.uid, None)
        else:
            self.open[job.uid] = job.name

    def one(self):
        """A job that it knows; rather a late one."""
        if not self.known:
            return None
        return self.known[-1 - min(int(self.rng.expovariate(0.1)), len(self.known) - 1)]

    # --- Jobs

    def describe(self, job, operation):
        """Fills in what the job is to do, and returns what the checker must know of it."""
        rng = self.rng
        job.labels["operation"] = operation
        job.max_attempts = rng.choice([2, 5, 10])
        said = {"priority": rng.choice([1, 3, 5])}
        if said["priority"] != 3 or rng.random() < 0.5:  # it is 3 where none is said
            job.priority = said["priority"]
        if rng.random() < 0.08:
            job.max_queue_duration.seconds = said["queue_limit"] = rng.choice([1, 2])
        if rng.random() < 0.08:
            job.execution_timeout.seconds = said["run_limit"] = 1
        if rng.random() < 0.3:
            job.webhook.url = f"http://127.0.0.1:{self.settings['receiver']}/{operation}"
            said["webhook"] = True
            if rng.random() < 0.3:
                job.webhook.events.extend([1, 2])
        if rng.random() < 0.25:
            spec = job.fine_tune
            spec.base_model = BASE_MODEL
            spec.subjects.add(class_noun="dog")
            blob = self.upload(self.tenant, photo(rng)) if rng.random() < 0.5 else None
            if blob:
                spec.subjects[0].photos.add(blob=blob)
            else:
                spec.subjects[0].photos.add(inline=photo(rng))
            # A name that was used before is free again once its model, or the job that was to make it, is gone.
            again = rng.random() < 0.2
            spec.output_model_id = f"m-{self.name.split('.')[0]}-{rng.randint(0, 9)}" if again else \
                f"m-{operation.replace('.', '-')}"
            said["makes"] = f"tenants/{self.tenant}/models/{spec.output_model_id}"
            self.made.append(said["makes"])
        else:
            drawn = rng.random() < 0.15 and self.made
            said["draws_with"] = job.generate.model.name = rng.choice(self.made[-8:]) if drawn else BASE_MODEL
            job.generate.prompts.append("a dog")
        return said

    def create(self):
        if len(self.open) >= self.MOST_OPEN:
            return self.look()
        operation = self.operation()
        request = job_service_pb2.CreateJobRequest()
        said = self.describe(request.job, operation)
        if self.rng.random() < 0.3:
            request.job_id = f"{self.name.split('.')[0]}-{self.rng.randint(0, 9)}"  # taken, or used and deleted before
        repeatable = self.rng.random() < 0.6
        if repeatable:
            request.request_id = operation
        said.update(operation=operation, request_id=request.request_id, job_id=request.job_id, tenant=self.tenant)

        if repeatable:
            self.asked.append((request, said))
            del self.asked[:-30]
        for _ in range(20 if repeatable else 1):
            result, reply = self.ask_for(request, said)
            if result == "ok":
                self.remember(reply)
                if not repeatable or self.rng.random() < 0.7:
                    break
                repeatable = False
            elif result == "refused" and reply != "STORAGE_FULL":
                break
            self.pause(0.02, 0.2)
        return None

    def ask_for(self, request, said):
        def told(job):
            facts = job_facts(job)
            return {**facts, "operation": said["operation"], "answered": facts["operation"]}

        return self.history.call("create", self.jobs.CreateJob, request, said, told)

    def create_again(self):
        """As one who was never answered, long after."""
        if self.asked and len(self.open) < self.MOST_OPEN:
            result, reply = self.ask_for(*self.rng.choice(self.asked))
            if result == "ok":
                self.remember(reply)

    def on_job(self, op, method, request_type, job=None):
        job = job or self.one()
        if not job:
            return
        uid, name = job
        result, reply = self.history.call(op, method, request_type(name=name), {"name": name, "about": uid}, job_facts)
        if result == "ok":
            if reply.uid != uid:
                self.open.pop(uid, None)  # another job has the name now
            self.remember(reply)
        elif result == "refused" and reply == "JOB_NOT_FOUND":
            self.open.pop(uid, None)

    def cancel(self):
        self.on_job("cancel", self.jobs.CancelJob, job_service_pb2.CancelJobRequest)

    def retry(self):
        self.on_job("retry", self.jobs.RetryJob, job_service_pb2.RetryJobRequest)

    def look(self):
        for job in self.rng.sample(list(self.open.items()), min(3, len(self.open))):
            self.on_job("get", self.jobs.GetJob, job_service_pb2.GetJobRequest, job)

    def list(self):
        request = job_service_pb2.ListJobsRequest(page_size=20, filter=self.rng.choice(FILTERS))
        result, reply = self.history.call(
            "list", self.jobs.ListJobs, request, {"tenant": self.tenant, "filter": request.filter},
            lambda reply: {"jobs": [job_facts(job) for job in reply.jobs], "more": bool(reply.next_page_token)})
        if result == "ok" and reply.jobs:
            job = self.rng.choice(reply.jobs)  # somebody else's, perhaps
            self.known.append((job.uid, job.name))

    def delete(self):
        job = self.one()
        if not job:
            return
        uid, name = job
        # The etag of a job that we have seen: not that of another one which has its name by now.
        try:
            seen = self.jobs.GetJob(job_service_pb2.GetJobRequest(name=name), timeout=3)
        except grpc.RpcError:
            return
        request = job_service_pb2.DeleteJobRequest(name=name, etag=seen.etag)
        self.history.call("delete", self.jobs.DeleteJob, request, {"name": name, "about": seen.uid})

    # --- Models

    def look_at_model(self):
        if self.made:
            name = self.rng.choice(self.made[-20:])
            self.history.call("get model", self.models.GetModel, model_service_pb2.GetModelRequest(name=name),
                              {"model": name}, model_facts)

    def list_models(self):
        request = model_service_pb2.ListModelsRequest(page_size=1000)
        self.history.call("list models", self.models.ListModels, request, {"tenant": self.tenant},
                          lambda reply: {"models": [model_facts(model) for model in reply.models],
                                         "more": bool(reply.next_page_token)})

    def delete_model(self):
        if self.made:
            name = self.rng.choice(self.made[-20:])
            self.history.call("delete model", self.models.DeleteModel, model_service_pb2.DeleteModelRequest(name=name),
                              {"model": name})

    # --- Blobs, and what belongs to others

    def store(self):
        blob = self.upload(self.tenant, self.rng.randbytes(self.rng.choice([0, 10, 3000, 30000])))
        if blob:
            self.blobs.append(blob)

    def read(self):
        if self.blobs:
            self.download("read", self.rng.choice(self.blobs))

    def trespass(self):
        """Asks for a job of another tenant, whose name is easily guessed."""
        other = self.rng.choice([tenant for tenant in self.settings["tenants"] if tenant != self.tenant])
        name = f"tenants/{other}/jobs/c{self.rng.randint(0, 4)}-{self.rng.randint(0, 9)}"
        method, request = self.rng.choice([
            (self.jobs.GetJob, job_service_pb2.GetJobRequest), (self.jobs.CancelJob, job_service_pb2.CancelJobRequest),
            (self.jobs.DeleteJob, job_service_pb2.DeleteJobRequest)])
        self.history.call("trespass", method, request(name=name), {"name": name})
