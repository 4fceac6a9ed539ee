"""Bytes: whoever reads a blob gets what its name says, and nothing that was acknowledged goes unless it was damaged."""


def artefacts_equal_their_digests(facts):
    damaged = facts.damaged()
    for blob, digest in facts.blobs.items():
        if digest != blob.rsplit("/", 1)[1] and (digest or blob not in damaged):
            yield f"{blob} is missing" if not digest else f"{blob} has the digest {digest}"
    for call in facts.replies("read") + facts.replies("read checkpoint"):
        if call["digest"] != call["blob"].rsplit("/", 1)[1]:
            yield f"{call['process']} read {call['blob']} and got bytes with the digest {call['digest']}"
    for call in facts.replies("read checkpoint", "refused"):
        if call["reason"] == "BLOB_NOT_FOUND" and call["blob"] not in damaged:
            yield f"{call['process']} was leased a job with the checkpoint {call['blob']}, which is missing"
    for drawn in facts.by_kind["drawn"]:
        for blob, digest in drawn["pictures"]:
            if digest != blob.rsplit("/", 1)[1]:
                yield f"{drawn['operation']} was sent {blob} with the digest {digest}"
    for uid, job in facts.jobs.items():
        for blob in job["outputs"] + job.get("photos", []):
            if blob not in facts.blobs:
                yield f"{blob} of {uid} was not looked at"
    collected = facts.by_kind["collection"]  # what no job names may be gone
    for call in facts.replies("upload"):
        if call["blob"] not in facts.blobs and not collected:
            yield f"{call['blob']}, whose upload was acknowledged, was not looked at"


def pictures_come_from_jobs_that_succeeded(facts):
    """A call that ends well says how the job ended; one that succeeded has sent all its pictures."""
    for drawn in facts.by_kind["drawn"]:
        job = facts.jobs.get(drawn.get("uid"))
        if drawn["result"] != "ok" or not job:
            continue
        if drawn["state"] not in {change["to"] for change in facts.changes(drawn["uid"])}:  # a retry may follow
            yield f"{drawn['operation']} ended with {drawn['uid']} in {drawn['state']}, where it never was"
        if drawn["state"] == "JOB_STATE_SUCCEEDED" and sorted(blob for blob, _ in drawn["pictures"]) != sorted(job["outputs"]):
            yield f"{drawn['operation']} was sent other pictures than those of {drawn['uid']}"


def damage_is_reported_as_damage(facts):
    """What only a broken disk explains is told to nobody whose blob was never damaged."""
    damaged = facts.damaged()
    for op in ("read", "read checkpoint"):
        for call in facts.replies(op, "refused"):
            if call["reason"] == "BLOB_DAMAGED" and call["blob"] not in damaged:
                yield f"{call['process']} was told that {call['blob']} is damaged, which it never was"


CHECKS = [artefacts_equal_their_digests, pictures_come_from_jobs_that_succeeded, damage_is_reported_as_damage]
