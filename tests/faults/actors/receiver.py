"""Where the webhooks of a campaign lead: it writes down each call, and often does not answer as it should."""
import base64
import hashlib
import hmac
import http.server
import itertools
import json
import os
import random
import threading
import time

from history import History

SECRET = "whsec_" + base64.b64encode(b"the secret of every tenant here").decode()
TIMEOUT = 1  # seconds that the server gives a call


def is_signed(headers, body):
    """Whether the call is signed as Standard Webhooks has it."""
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return expected in (headers["webhook-signature"] or "").split()


def call_facts(headers, body):
    call = json.loads(body)
    event = call["event"]
    kind = next(kind for kind in ("stateChange", "progress") if kind in event)
    facts = {"id": call["id"], "uid": call["job"]["uid"], "seq": int(event["seq"]), "kind": kind,
             "signed": is_signed(headers, body) and headers["webhook-id"] == call["id"]}
    if kind == "stateChange":
        facts.update({"from": event[kind].get("from", "JOB_STATE_UNSPECIFIED"), "to": event[kind]["to"],
                      "reason": event[kind].get("reason", "STATE_CHANGE_REASON_UNSPECIFIED"),
                      "detail": event[kind].get("detail", ""), "attempt": event[kind].get("attempt", 0)})
    return facts


def run(settings, port):
    """Answers until it is killed; once the campaign is over, always well."""
    history = History(os.path.join(settings["histories"], "receiver.jsonl"), "receiver")
    rng, lock, deliveries = random.Random(f"{settings['seed']} receiver"), threading.Lock(), itertools.count()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            facts = call_facts(self.headers, self.rfile.read(int(self.headers["content-length"])))
            with lock:
                dice = 1 if os.path.exists(settings["stop"]) else rng.random()
                delivery = next(deliveries)
            history.write("called", delivery=delivery, **facts)
            if dice < 0.03:
                self.close_connection = True
                return  # no answer at all
            if dice < 0.05:
                time.sleep(TIMEOUT * 1.5)  # longer than the server waits
            code = 500 if 0.05 <= dice < 0.13 else 200
            if dice >= 0.05:
                history.write("answered", id=facts["id"], delivery=delivery, code=code)
            self.send_response(code)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_):
            pass  # the server was killed meanwhile

    Server(("127.0.0.1", port), Handler).serve_forever()
