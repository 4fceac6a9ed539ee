"""A database whose bytes changed on the disk: every answer from it is right, or an error that says so."""
COMPARED = ("uid", "state", "attempt", "seq", "outputs")
SAYS_SO = ("damaged", "corrupt", "malformed", "not a database")


def damaged_data_is_not_served(facts):
    copies = {entry["copy"]: entry for entry in facts.by_kind["damaged copy"]}
    by_name = {job["name"]: job for job in facts.jobs.values()}
    for found in facts.by_kind["found"]:
        job, what = by_name[found["asked"]], copies[found["copy"]]["what"]
        if copies[found["copy"]].get("left_out"):
            continue  # the server said that the last transaction may be missing
        if found["result"] == "ok":
            wrong = {key: (found.get(key), job.get(key)) for key in COMPARED if found.get(key) != job.get(key)}
            if wrong:
                yield f"after {what}, {found['asked']} was shown with {wrong}"
        elif found["reason"] == "JOB_NOT_FOUND":
            yield f"after {what}, {found['asked']} was said not to be there"


def damage_is_named_at_the_start(facts):
    for entry in facts.by_kind["damaged copy"]:
        if not entry["started"] and not any(word in entry["said"].lower() for word in SAYS_SO):
            yield f"after {entry['what']}, the server did not start and said: {entry['said']}"


CHECKS = [damaged_data_is_not_served, damage_is_named_at_the_start]
