"""Personalized models: there once their job has succeeded, with its files, until they are deleted."""
import collections


def makers(facts):
    """{model: jobs that were to make it}, of the jobs that are there."""
    found = collections.defaultdict(list)
    for job in facts.jobs.values():
        if job.get("makes"):
            found[job["makes"]].append(job)
    return found


def sightings(facts):
    """Each model that an answer showed, with the time of the question."""
    for call in facts.replies("get model"):
        yield call["begun"], call, f"{call['process']} was shown"
    for call in facts.replies("list models"):
        for model in call["models"]:
            yield call["begun"], model, f"a list of {call['process']} showed"
    for model in facts.models.values():
        yield float("inf"), model, "there is"


def models_are_what_their_jobs_made(facts):
    made_by, seen = makers(facts), facts.seen_jobs()
    for asked, model, what in sightings(facts):
        maker = next((job for job in made_by[model["model"]] if job["name"] == model["job"]), None)
        if not maker:
            continue  # it was deleted
        known = seen.get(maker["uid"])
        if known and asked < known.get("begun", known["at"]):
            continue  # it was of a job of that name that was deleted since
        if maker["state"] != "JOB_STATE_SUCCEEDED":
            yield f"{what} {model['model']}, whose job {maker['uid']} is {maker['state']}"
        elif sorted(model["files"]) != sorted(maker["outputs"]):
            yield f"{what} {model['model']} with other files than {maker['uid']} made"


def acknowledged_models_survive(facts):
    deletions = collections.defaultdict(list)
    for call in facts.may_have_happened("delete model"):
        deletions[call["model"]].append(call["at"])
    completions = {call["uid"]: call for call in facts.replies("complete")}
    for model, jobs in makers(facts).items():
        for job in jobs:
            done = completions.get(job["uid"])
            if not done or any(at > done["begun"] for at in deletions[model]):
                continue
            if model not in facts.models:
                yield f"{model} was made by {job['uid']}, as was acknowledged, and is gone"
            for call in facts.replies("get model", "refused"):
                if call["model"] == model and call["begun"] > done["at"] and \
                        call["reason"] in ("MODEL_NOT_FOUND", "MODEL_NOT_READY"):
                    yield f"{call['process']} did not find {model} ({call['reason']}), which had been made"


def deleted_models_are_gone(facts):
    """Nobody is shown a model after its deletion was acknowledged, unless another job has made it since."""
    names = collections.Counter(job["name"] for job in facts.jobs.values())
    done = {call["name_of_job"]: call["at"] for call in completions_by_name(facts)}
    deleted = collections.defaultdict(list)
    for call in facts.replies("delete model"):
        deleted[call["model"]].append(call)
    for begun, model, what in sightings(facts):
        for deletion in deleted[model["model"]]:
            made = done.get(model["job"])
            if names[model["job"]] == 1 and made is not None and made < deletion["begun"] and begun > deletion["at"]:
                yield f"{what} {model['model']} of {model['job']}, whose deletion had been acknowledged"


def completions_by_name(facts):
    for call in facts.replies("complete"):
        if call["uid"] in facts.jobs:
            yield {"name_of_job": facts.jobs[call["uid"]]["name"], **call}


def leases_name_the_models_files(facts):
    """Who is to draw with a personalized model is given its files."""
    made_by = makers(facts)
    # A model outlives the job that made it, and its name may be another job's later.
    forgotten = [sorted(call["outputs"]) for call in facts.may_have_happened("complete") if call["uid"] not in facts.jobs]
    for lease in facts.leases():
        job = facts.jobs.get(lease["uid"])
        if not job or lease.get("model_files") is None:
            continue
        model = job.get("draws_with", "")
        allowed = [sorted(maker["outputs"]) for maker in made_by[model]] + [[]] + forgotten  # one that was deleted has none
        if made_by[model] and sorted(lease["model_files"]) not in allowed:
            yield f"{lease['process']} was leased {lease['uid']} with other files of {model} than its job made"


CHECKS = [models_are_what_their_jobs_made, acknowledged_models_survive, deleted_models_are_gone, leases_name_the_models_files]
