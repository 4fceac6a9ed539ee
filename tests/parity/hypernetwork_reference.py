"""Hypernetworks as AUTOMATIC1111 trains them, the reference of methods_parity_test.py."""

import json

import lora_parity_test as lora
import parity
from parity import load_file, torch
from safetensors import safe_open

CLASSES = dict(swish="SiLU", leaky_relu="LeakyReLU", softsign="Softsign")


class HypernetworkModule(torch.nn.Module):
    """modules/hypernetworks/hypernetwork.py of AUTOMATIC1111, as far as our settings go."""

    def __init__(self, dim, layer_structure, activation, activate_output, add_layer_norm):
        super().__init__()
        linears = []
        for i in range(len(layer_structure) - 1):
            linears.append(torch.nn.Linear(int(dim * layer_structure[i]), int(dim * layer_structure[i + 1])))
            if activation != "linear" and (activate_output or i < len(layer_structure) - 2):
                linears.append(getattr(torch.nn, CLASSES[activation])())
            if add_layer_norm:
                linears.append(torch.nn.LayerNorm(int(dim * layer_structure[i + 1])))
        self.linear = torch.nn.Sequential(*linears)

    def forward(self, x):
        return x + self.linear(x)


def begin_weight(weight, initialization, generator):
    """As torch.nn.init does for AUTOMATIC1111, of numbers drawn as docs/reproducibility.md says."""
    n, m = weight.shape[-1], weight.shape[0]
    deviation = dict(normal=0.01, xavier=(2 / (n + m)) ** 0.5, kaiming=(2 / n) ** 0.5)[initialization.split("_")[0]]
    if weight.dim() == 1:  # a normalization's
        weight.copy_(torch.randn(weight.shape, generator=generator) * 0.01)
    elif initialization.endswith("uniform"):
        weight.copy_((torch.rand(weight.shape, generator=generator) * 2 - 1) * (3 ** 0.5 * deviation))
    else:
        weight.copy_(torch.randn(weight.shape, generator=generator) * deviation)


class Hypernetwork:
    def __init__(self, pipeline, job):
        for module in (pipeline.unet, *parity.text_encoders(pipeline).values()):
            module.requires_grad_(False)
        structure = [float(width) for width in job["layer_structure"].split()]
        projections = [(name, layer) for name, layer in pipeline.unet.named_modules()
                       if name.endswith((".to_k", ".to_v")) and (job["self_attention"] or "attn2" in name)]
        generator = torch.Generator().manual_seed(lora.step_seed(job["seed"], -1))
        self.nets = {}
        for width in sorted({layer.in_features for _, layer in projections}):
            for which in (0, 1):
                net = HypernetworkModule(width, structure, job["activation"], bool(job["activate_output"]), bool(job["layer_norm"]))
                self.nets[f"{width}.{which}"] = net
                with torch.no_grad():
                    for parameter_name, parameter in net.named_parameters():
                        if parameter_name.endswith("bias"):
                            parameter.zero_()
                        else:
                            begin_weight(parameter, job["weight_initialization"], generator)
        self.job = job
        # What is added to all keys alike changes no softmax: its gradient is rounding error, of which AdamW makes steps.
        self.arbitrary = {f"{key}.{name}" for key, net in self.nets.items() if key.endswith(".0")
                          for name, _ in net.named_parameters() if name.endswith("bias")}
        for name, layer in projections:
            net = self.nets[f"{layer.in_features}.{int(name.endswith('to_v'))}"]
            layer.register_forward_pre_hook(lambda _, args, net=net: (net(args[0]),))

    def parameters(self):
        return {f"{key}.{name}": parameter for key, net in self.nets.items() for name, parameter in net.named_parameters()}

    def groups(self, job):
        return [dict(params=list(self.parameters().values()), lr=job["learning_rate"])]

    def ours(self, adapter):
        with safe_open(adapter / "hypernetwork.safetensors", "pt") as file:
            said = json.loads(file.metadata()["hypernetwork"])
        assert said["layer_structure"][0] == said["layer_structure"][-1] == 1
        assert said["activate_output"] == bool(self.job["activate_output"])
        assert said["weight_initialization"] == self.job["weight_initialization"].title().replace("_", "")
        return load_file(adapter / "hypernetwork.safetensors")
