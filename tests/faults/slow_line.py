"""A TCP relay whose speed the test sets: what lies between a worker and its server."""
import socket
import threading
import time


class SlowLine:
    def __init__(self, target_port):
        self._target_port = target_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.bytes_per_second = None  # towards the server; None: as fast as it goes
        self._closed = False
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._closed = True
        self._listener.close()

    def _accept(self):
        while not self._closed:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self._target_port))
            except OSError:
                near.close()
                continue
            for source, sink, slowed in ((near, far, True), (far, near, False)):
                threading.Thread(target=self._relay, args=(source, sink, slowed), daemon=True).start()

    def _relay(self, source, sink, slowed):
        try:
            while piece := source.recv(4096 if slowed and self.bytes_per_second else 65536):
                sink.sendall(piece)
                if slowed and self.bytes_per_second:
                    time.sleep(len(piece) / self.bytes_per_second)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
