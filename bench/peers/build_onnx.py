"""Writes a llama GGUF file as an int4 ONNX graph with a KV cache: build_onnx.py MODEL.gguf OUT.onnx

The graph uses the operators that onnxruntime's own model builders use (GroupQueryAttention,
MatMulNBits with 8-bit activations), and computes the logits of the last token only, as a chat needs.

Inputs: `input_ids` [1, s]; `seqlens_k` [1], positions in all less one; `total_sequence_length`, a
scalar; `past.I.k` and `past.I.v` [1, kv heads, past, head dimensions] for each layer I.
Outputs: `logits` [1, 1, vocabulary]; `present.I.k` and `present.I.v`, the cache with s more positions.
"""

import sys

import numpy as np
import onnx
from gguf import GGUFReader, dequantize
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

CONTEXT_TOKENS = 2048
MICROSOFT = "com.microsoft"


class Model:
    """Configuration and float32 tensors of a GGUF file."""

    def __init__(self, path):
        self._reader = GGUFReader(path)
        self._tensors = {tensor.name: tensor for tensor in self._reader.tensors}
        if self._setting("general.architecture") != "llama":
            raise SystemExit("only files of the llama architecture can be written")
        self.layers = self._setting("llama.block_count")
        self.heads = self._setting("llama.attention.head_count")
        self.kv_heads = self._setting("llama.attention.head_count_kv")
        self.head_dimensions = self._setting("llama.embedding_length") // self.heads
        self.rope_base = self._setting("llama.rope.freq_base")
        self.epsilon = self._setting("llama.attention.layer_norm_rms_epsilon")

    def _setting(self, name):
        return self._reader.get_field(name).contents()

    def tensor(self, name):
        found = self._tensors[name]
        return dequantize(found.data, found.tensor_type).astype(np.float32)

    def has(self, name):
        return name in self._tensors


class Graph:
    """Collects nodes and constants; each method returns the name of what it added."""

    def __init__(self, model):
        self._model = model
        self._nodes = []
        self._constants = []

    def constant(self, name, array):
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(self, operator, inputs, outputs, **attributes):
        domain = MICROSOFT if operator in CONTRIBUTED else ""
        self._nodes.append(
            helper.make_node(operator, inputs, outputs, outputs[0], domain=domain, **attributes)
        )
        return outputs[0]

    def linear(self, source, tensor, target):
        """A product with a matrix of the file, which has a row for each output."""
        weight = self.constant(f"{target}.weight", self._model.tensor(tensor).T)
        return self.node("MatMul", [source, weight], [target])

    def add_and_norm(self, stream, update, tensor, target):
        """`stream + update` and its RMS norm: (normed, sum)."""
        weight = self.constant(f"{target}.weight", self._model.tensor(tensor))
        outputs = [target, "", "", f"{target}.sum"]
        self.node(
            "SkipSimplifiedLayerNormalization", [stream, update, weight], outputs, epsilon=self._model.epsilon
        )
        return target, f"{target}.sum"

    def finish(self, inputs, outputs):
        graph = helper.make_graph(self._nodes, "decoder", inputs, outputs, self._constants)
        operator_sets = [helper.make_opsetid("", 18), helper.make_opsetid(MICROSOFT, 1)]
        return helper.make_model(graph, opset_imports=operator_sets, ir_version=9)


CONTRIBUTED = {"GroupQueryAttention", "SkipSimplifiedLayerNormalization"}


def attention(graph, model, layer, normed):
    """Attention of one layer over its past; RoPE turns neighbouring pairs, as llama files store them."""
    block = f"blk.{layer}"
    queries, keys, values = (
        graph.linear(normed, f"{block}.attn_{part}.weight", f"{block}.{part}") for part in "qkv"
    )
    past = [f"past.{layer}.k", f"past.{layer}.v"]
    present = [f"present.{layer}.k", f"present.{layer}.v"]
    mixed = graph.node(
        "GroupQueryAttention",
        [queries, keys, values, *past, "seqlens_k", "total_sequence_length", "cosines", "sines"],
        [f"{block}.attention", *present],
        num_heads=model.heads,
        kv_num_heads=model.kv_heads,
        do_rotary=1,
        rotary_interleaved=1,
    )
    return graph.linear(mixed, f"{block}.attn_output.weight", f"{block}.attention_output")


def feed_forward(graph, layer, normed):
    """SwiGLU: `down(silu(gate) * up)`."""
    block = f"blk.{layer}"
    gate = graph.linear(normed, f"{block}.ffn_gate.weight", f"{block}.gate")
    up = graph.linear(normed, f"{block}.ffn_up.weight", f"{block}.up")
    sigmoid = graph.node("Sigmoid", [gate], [f"{block}.sigmoid"])
    silu = graph.node("Mul", [gate, sigmoid], [f"{block}.silu"])
    gated = graph.node("Mul", [silu, up], [f"{block}.gated"])
    return graph.linear(gated, f"{block}.ffn_down.weight", f"{block}.down")


def build(model):
    graph = Graph(model)
    frequencies = model.rope_base ** (-np.arange(0, model.head_dimensions, 2) / model.head_dimensions)
    angles = np.outer(np.arange(CONTEXT_TOKENS), frequencies)
    graph.constant("cosines", np.cos(angles).astype(np.float32))
    graph.constant("sines", np.sin(angles).astype(np.float32))

    graph.constant("embedding", model.tensor("token_embd.weight"))
    stream = graph.node("Gather", ["embedding", "input_ids"], ["embedded"])
    weight = graph.constant("first_norm.weight", model.tensor("blk.0.attn_norm.weight"))
    normed = graph.node(
        "SimplifiedLayerNormalization", [stream, weight], ["first_norm"], epsilon=model.epsilon, axis=-1
    )
    for layer in range(model.layers):
        block = f"blk.{layer}"
        update = attention(graph, model, layer, normed)
        normed, stream = graph.add_and_norm(
            stream, update, f"{block}.ffn_norm.weight", f"{block}.middle_norm"
        )
        update = feed_forward(graph, layer, normed)
        following = f"blk.{layer + 1}.attn_norm.weight" if layer + 1 < model.layers else "output_norm.weight"
        normed, stream = graph.add_and_norm(stream, update, following, f"{block}.end_norm")
    last = graph.node("Gather", [normed, graph.constant("last", np.array([-1]))], ["last_token"], axis=1)
    output = "output.weight" if model.has("output.weight") else "token_embd.weight"
    graph.linear(last, output, "logits")
    return graph.finish(*signature(model))


def signature(model):
    """The graph's inputs and outputs, described."""

    def cache(kind, length):
        shape = [1, model.kv_heads, length, model.head_dimensions]
        names = [f"{kind}.{layer}.{part}" for layer in range(model.layers) for part in "kv"]
        return [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in names]

    inputs = [
        helper.make_tensor_value_info("input_ids", TensorProto.INT64, [1, "tokens"]),
        helper.make_tensor_value_info("seqlens_k", TensorProto.INT32, [1]),
        helper.make_tensor_value_info("total_sequence_length", TensorProto.INT32, []),
        *cache("past", "past"),
    ]
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 1, "vocabulary"])
    return inputs, [logits, *cache("present", "total")]


def main():
    source, target = sys.argv[1:]
    quantizer = MatMulNBitsQuantizer(
        build(Model(source)), bits=4, block_size=32, is_symmetric=False, accuracy_level=4
    )
    quantizer.process()
    onnx.save(quantizer.model.model, target)


if __name__ == "__main__":
    main()
