"""Network namespaces that actors live in, so that the kernel itself can cut them off. Needs root and iproute2."""
import asyncio
import ctypes
import os
import subprocess

CLONE_NEWNET = 0x40000000


def _ip(*arguments, check=True):
    return subprocess.run(["ip", *arguments], check=check, capture_output=True).returncode == 0


def enter(namespace):
    """Moves this process, which has no sockets yet, into a namespace."""
    descriptor = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
    os.close(descriptor)


class Cable:
    """A namespace and the only way out of it: a pair of devices, and on our side an address to call."""

    def __init__(self, number):
        process = os.getpid()
        self.namespace = f"likeness-{process}-{number}"
        self._device = f"lk{process % 1000000}n{number}"
        self.address = f"10.{64 + process % 128}.{process // 128 % 64 * 4 + number // 64}.{number % 64 * 4 + 1}"
        inside = self.address.rsplit(".", 1)[0] + f".{number % 64 * 4 + 2}"
        _ip("netns", "add", self.namespace)
        try:
            _ip("link", "add", self._device, "type", "veth", "peer", "name", "way-out", "netns", self.namespace)
            _ip("addr", "add", f"{self.address}/30", "dev", self._device)
            _ip("link", "set", self._device, "up")
            _ip("-n", self.namespace, "addr", "add", f"{inside}/30", "dev", "way-out")
            _ip("-n", self.namespace, "link", "set", "way-out", "up")
            _ip("-n", self.namespace, "link", "set", "lo", "up")
        except BaseException:
            self.close()
            raise

    def cut(self):
        _ip("link", "set", self._device, "down")

    def mend(self):
        _ip("link", "set", self._device, "up")

    def close(self):
        _ip("link", "del", self._device, check=False)
        _ip("netns", "del", self.namespace, check=False)


def lay_cables(count):
    """As many cables, or nothing and the reason why there are none."""
    cables = []
    try:
        for number in range(count):
            cables.append(Cable(number))
    except (OSError, subprocess.CalledProcessError) as error:
        for cable in cables:
            cable.close()
        reason = getattr(error, "stderr", b"") or str(error).encode()
        return [], reason.decode(errors="replace").strip()
    return cables, ""


def relay(addresses, port):
    """Carries what comes to the cables' addresses to the server, which listens on loopback alone. Never returns."""
    async def carry(reader, writer):
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        writer.close()

    async def accept(reader, writer):
        try:
            there = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(carry(reader, there[1]), carry(there[0], writer))

    async def serve():
        servers = [await asyncio.start_server(accept, address, port) for address in addresses]
        await asyncio.gather(*(server.serve_forever() for server in servers))

    asyncio.run(serve())
