"""Webhooks: each event's call is made, none is invented, and none is repeated that was answered well."""
import collections

PROMPT = 0.3  # seconds within which an answer surely reached the server


def webhooks_tell_every_change(facts):
    answered = {entry["id"] for entry in facts.by_kind["answered"] if entry["code"] == 200}
    told = {(call["uid"], call["seq"]) for call in facts.by_kind["called"] if call["id"] in answered}
    for uid, job in facts.jobs.items():
        if not job.get("webhook"):
            continue
        for event in facts.changes(uid):
            if (uid, event["seq"]) not in told:
                yield f"event {event['seq']} of {uid}, {event['to']}, never reached its webhook"


def webhooks_invent_nothing(facts):
    about = {}
    for call in facts.by_kind["called"]:
        what = (call["uid"], call["seq"])
        if about.setdefault(call["id"], what) != what:
            yield f"the call {call['id']} was about {about[call['id']]}, then about {what}"
        if not call["signed"]:
            yield f"the call {call['id']} about {what} was not signed as it should be"
        job = facts.jobs.get(call["uid"])
        if not job:
            continue
        if not job.get("webhook"):
            yield f"a webhook was told of {call['uid']}, which has none"
        event = facts.stored[call["uid"]].get(call["seq"], {})
        if call["kind"] == "stateChange":
            wrong = [key for key in ("from", "to", "reason", "detail", "attempt") if call.get(key) != event.get(key)]
            if wrong:
                yield f"a webhook was told of event {call['seq']} of {call['uid']} with {[call.get(key) for key in wrong]}"


def webhooks_are_not_repeated_without_need(facts):
    calls, answers = collections.defaultdict(list), {}
    for call in facts.by_kind["called"]:
        calls[call["id"]].append(call)
    for answer in facts.by_kind["answered"]:
        answers[answer["delivery"]] = answer
    for number, deliveries in calls.items():
        for first, second in zip(deliveries, deliveries[1:]):
            answer = answers.get(first["delivery"])
            if not answer or answer["code"] != 200 or answer["at"] - first["at"] > PROMPT:
                continue
            if facts.is_quiet(first["at"], answer["at"] + 1):
                yield (f"the call {number} was made again {second['at'] - first['at']:.2f} s after it had been made and answered "
                       "well")


CHECKS = [webhooks_tell_every_change, webhooks_invent_nothing, webhooks_are_not_repeated_without_need]
