"""Hand-made networks for tests."""
import struct

SIDE = 320  # that U2-Net reads


def field(number, value):
    """A field of a protocol buffer message: an integer, text or a message."""
    def varint(n):
        return bytes([n]) if n < 128 else bytes([n & 127 | 128]) + varint(n >> 7)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def tensor(name, dims, values):
    return field(5, b"".join(field(1, n) for n in dims) + field(2, 1) + field(8, name) + field(9, struct.pack(f"<{len(values)}f", *values)))


def node(operation, inputs, output, attributes=b""):
    return field(1, b"".join(field(1, name) for name in inputs) + field(2, output) + field(4, operation) + attributes)


def picture(number, name, channels):
    dims = b"".join(field(1, field(1, n)) for n in (1, channels, SIDE, SIDE))
    return field(number, field(1, name) + field(2, field(1, field(1, 1) + field(2, dims))))


KERNEL = field(5, field(1, "kernel_shape") + field(8, 1) + field(8, 1) + field(20, 7))


def network(name, layers, ends):
    """An ONNX file (github.com/onnx/onnx, onnx.proto)."""
    graph = layers + field(2, name) + picture(11, "input", 3) + ends
    return field(1, 8) + field(8, field(2, 11)) + field(7, graph)


def finds_red():
    """A 1 x 1 convolution of R - G, and as a second, coarser output its opposite."""
    layers, ends = b"", b""
    for name, sign in (("finest", 1), ("coarse", -1)):
        layers += tensor(f"{name}.weight", (1, 3, 1, 1), (10 * sign, -10 * sign, 0)) + tensor(f"{name}.bias", (1,), (-20 * sign,))
        layers += node("Conv", ("input", f"{name}.weight", f"{name}.bias"), f"{name}.logits", KERNEL)
    for name in ("finest", "coarse"):
        layers += node("Sigmoid", (f"{name}.logits",), name)
        ends += picture(12, name, 1)
    return network("finds red", layers, ends)


def finds_left(part):
    """Whatever is in the picture, this part of its width, from the left."""
    row = [20.0 if x < part * SIDE else -20.0 for x in range(SIDE)]
    layers = tensor("weight", (1, 3, 1, 1), (0, 0, 0)) + tensor("bias", (1,), (0,)) + tensor("place", (1, 1, SIDE, SIDE), row * SIDE)
    layers += node("Conv", ("input", "weight", "bias"), "nothing", KERNEL) + node("Add", ("nothing", "place"), "logits")
    return network("finds the left", layers + node("Sigmoid", ("logits",), "found"), picture(12, "found", 1))
