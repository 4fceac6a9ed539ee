"""What the actors of a campaign asked and were told, one JSON line each, in the order of one machine's clock."""
import json
import os
import time

import grpc

import service


class History:
    """The lines of one process. A line is one write, so a process that is killed leaves whole lines."""

    def __init__(self, path, process):
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._process = process
        self._calls = 0

    def write(self, entry, **fields):
        line = json.dumps({"entry": entry, "at": time.monotonic(), "process": self._process, **fields})
        os.write(self._file, line.encode() + b"\n")

    def call(self, op, method, request, said, told=lambda reply: {}, timeout=5):
        """Makes a call between two lines. `said` and `told` are what the checker needs of the request and of the reply.

        Returns (result, reply): "ok"; "refused", the server answered that nothing happened; "unknown", nobody knows.
        """
        self._calls += 1
        call = f"{self._process}.{self._calls}"
        self.write("call", call=call, op=op, **said)
        try:
            reply = method(request, timeout=timeout)
        except grpc.RpcError as error:
            result, reason = verdict(error)
            self.write("reply", call=call, op=op, result=result, reason=reason, details=error.details(), **said)
            return result, reason
        self.write("reply", call=call, op=op, result="ok", **{**said, **told(reply)})
        return "ok", reply


def verdict(error):
    """("refused" or "unknown", reason). A refusal carries the server's own reason; what gRPC itself says does not."""
    reason = service.error_reason(error)
    happened_perhaps = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN,
                        grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED}
    if reason and error.code() not in happened_perhaps:
        return "refused", reason
    return "unknown", reason or error.code().name


def read(paths):
    """All lines of some histories, in order of time. The line under way when a machine stopped may be cut."""
    entries = []
    for path in paths:
        with open(path, "rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    entries.append(json.loads(line))
    entries.sort(key=lambda entry: entry["at"])
    return entries
