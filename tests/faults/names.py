"""Resource names."""


def tenant_of(name):
    """Of tenants/{tenant}/..."""
    return name.split("/")[1]
