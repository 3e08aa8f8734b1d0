"""onnxruntime on the CPU as a benchmark engine: reads calls as JSON lines, answers as JSON lines.

A call is `{"id", "method", "options"}`, an answer `{"id", "result"}` or `{"id", "error"}`; the methods
are those of the engines in ../engines.
"""

import json
import sys
import time

import numpy as np
import onnxruntime

SHORT_PROMPT_TOKENS = 32


class Engine:
    """One session with the model of build_onnx.py."""

    def load(self, options):
        started = time.perf_counter()
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = options["threads"]
        settings.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            options["onnx"]["path"], settings, providers=["CPUExecutionProvider"]
        )
        self._pasts = [given for given in self._session.get_inputs() if given.name.startswith("past.")]
        self._outputs = [output.name for output in self._session.get_outputs()]
        return {
            "loadMs": elapsed_ms(started),
            "threads": options["threads"],
            "version": onnxruntime.__version__,
        }

    def prefill(self, options):
        ids = prompt(options["round"], options["tokens"])
        started = time.perf_counter()
        self._step(ids, 0, self._empty())
        return {"tokens": len(ids), "ms": elapsed_ms(started)}

    def decode(self, options):
        ids = prompt(options["round"], SHORT_PROMPT_TOKENS)
        token, cache = self._step(ids, 0, self._empty())
        position = len(ids)
        started = time.perf_counter()
        for _ in range(options["tokens"] - 1):
            token, cache = self._step([token], position, cache)
            position += 1
        return {"tokens": options["tokens"] - 1, "ms": elapsed_ms(started)}

    def _step(self, ids, position, cache):
        """The likeliest next token after `ids` at `position`, and the grown cache."""
        total = position + len(ids)
        inputs = {
            "input_ids": np.array([ids], np.int64),
            "seqlens_k": np.array([total - 1], np.int32),
            "total_sequence_length": np.array(total, np.int32),
        }
        values = {name: onnxruntime.OrtValue.ortvalue_from_numpy(array) for name, array in inputs.items()}
        # The cache stays in the runtime's own memory from step to step.
        logits, *grown = self._session.run_with_ort_values(self._outputs, {**values, **cache})
        names = [given.name for given in self._pasts]
        return int(logits.numpy().argmax()), dict(zip(names, grown, strict=True))

    def _empty(self):
        def empty(shape):
            return np.zeros([size if isinstance(size, int) else 0 for size in shape], np.float32)

        return {
            given.name: onnxruntime.OrtValue.ortvalue_from_numpy(empty(given.shape)) for given in self._pasts
        }


def prompt(number, tokens):
    """Ids that differ from round to round; what they are makes no difference to the time."""
    return [100 + (index * 7919 + number * 131) % 40000 for index in range(tokens)]


def elapsed_ms(started):
    return (time.perf_counter() - started) * 1000


def main():
    engine = Engine()
    for line in sys.stdin:
        call = json.loads(line)
        try:
            method = {"load": engine.load, "prefill": engine.prefill, "decode": engine.decode}[call["method"]]
            answer = {"result": method(call["options"])}
        except Exception as error:  # Whatever went wrong is told to the benchmark.
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps({"id": call["id"], **answer}), flush=True)


if __name__ == "__main__":
    main()
