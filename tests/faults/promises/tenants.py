"""Tenants see nothing of each other."""


def tenants_are_apart(facts):
    for call in facts.replies("trespass"):
        yield f"{call['process']} of another tenant was answered about {call['name']}"
    for call in facts.replies("trespass", "refused"):
        if call["reason"] != "JOB_NOT_FOUND":
            yield f"{call['process']} of another tenant was told {call['reason']} of {call['name']}"
    for op, key, shown in (("list", "jobs", "name"), ("list models", "models", "model")):
        for call in facts.replies(op):
            for thing in call[key]:
                if not thing[shown].startswith(f"tenants/{call['tenant']}/"):
                    yield f"a list of {call['process']} of {call['tenant']} showed {thing[shown]}"
    for call in facts.replies("create"):
        if not call["name"].startswith(f"tenants/{call['tenant']}/"):
            yield f"{call['process']} of {call['tenant']} created {call['name']}"
    for page, entries in facts.pages.items():
        tenant = entries[0].get("tenant")
        for entry in entries:
            if entry.get("name") and not entry["name"].startswith(f"tenants/{tenant}/"):
                yield f"the stream {page} of {tenant} showed {entry['name']}"


CHECKS = [tenants_are_apart]
