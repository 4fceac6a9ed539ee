"""The clients and workers of a campaign: processes of their own that do random things and write down what came of it."""
import os

import network
from actors.client import Client
from actors.worker import Worker


def run(kind, arguments, namespace=None):
    """The whole life of an actor's process."""
    if namespace:
        network.enter(namespace)
    {"worker": Worker, "client": Client}[kind](*arguments).run()
    os._exit(0)  # gRPC's threads have nothing to say any more
