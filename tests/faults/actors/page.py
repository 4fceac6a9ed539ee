"""What a page of a web backend does: it lists its tenant's jobs, and follows all of them on one stream from there."""
import time

import grpc

from actors.base import job_facts
from actors.following import event_facts
from history import verdict
from service import job_pb2, job_service_pb2

FILTERS = ["", "", "method = generate"]
MOST_STREAMS = 10


class Page:
    """Opens pages for a client, in threads of the client's `following`."""

    def __init__(self, client):
        self.client = client
        self.history = client.history

    def open(self):
        self.client.following.in_thread(self._keep_up_to_date)

    def _keep_up_to_date(self, page, rng):
        filter, token = rng.choice(FILTERS), None
        for _ in range(MOST_STREAMS):
            if token is None:
                token = self._list(page, filter)
            if token is not None:
                token = self._stream(page, filter, token, rng.choice([0.3, 2, 8]))
            if self.client.stopping():
                return
            time.sleep(rng.uniform(0.05, 0.3))

    def _list(self, page, filter):
        """The token from which to go on; None if there was no answer."""
        try:
            reply = self.client.jobs.ListJobs(job_service_pb2.ListJobsRequest(
                page_size=1000, filter=filter, view=job_pb2.JOB_VIEW_BASIC), timeout=5)
        except grpc.RpcError:
            return None
        self.history.write("page", page=page, tenant=self.client.tenant, filter=filter, complete=not reply.next_page_token,
                           jobs=[job_facts(job) for job in reply.jobs])
        return reply.resume_token

    def _stream(self, page, filter, token, timeout):
        """The token from which to go on; None if the jobs are to be listed again."""
        self.history.write("stream", page=page)
        request = job_service_pb2.WatchJobsRequest(filter=filter, resume_token=token)
        try:
            for event in self.client.jobs.WatchJobs(request, timeout=timeout):
                token = event.resume_token
                self.history.write("change", page=page, name=event.job, **event_facts(event))
            result, reason = "ok", ""
        except grpc.RpcError as error:
            result, reason = verdict(error)
        self.history.write("streamed", page=page, result=result, reason=reason)
        return None if result == "refused" else token
