"""OpenVINO: the fast engine on processors."""

from __future__ import annotations

import queue
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarmap.detect.batches import batches
from sarmap.detect.manifest import Manifest


class OpenVinoEngine:
    """OpenVINO on the processor: one compiled model, one stream per core, requests shared.

    Every calling thread hands its batches to the same streams, so that one caller fills all cores
    and several never run more threads than there are cores.
    """

    def __init__(
        self, manifest: Manifest, folder: Path, precision: str, *, size: int, cores: int
    ) -> None:
        from sarmap.detect.conversion import forbid_telemetry, openvino_ir

        forbid_telemetry()
        import openvino

        xml, binary = openvino_ir(manifest, folder, precision)
        self._size = size
        core = openvino.Core()
        model = core.read_model(xml, binary)
        model.reshape([self._size, *manifest.input_shape])
        settings = {
            "INFERENCE_PRECISION_HINT": "f32" if precision == "int8" else precision,
            "NUM_STREAMS": str(cores),
            "INFERENCE_NUM_THREADS": cores,
            "ENABLE_CPU_PINNING": False,  # two processes would be pinned to the same cores
        }
        self._compiled = core.compile_model(model, "CPU", settings)
        self._tensor = openvino.Tensor
        self._answer_shape = tuple(self._compiled.output(0).shape)[1:]
        self._idle: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for _ in range(cores):
            self._idle.put(self._compiled.create_infer_request())

    def __call__(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        """Answer tiles, float32 [n, y, x, band] to [n, ...]; safe from several threads."""
        answers = np.empty((len(tiles), *self._answer_shape), np.float32)
        running: deque[tuple[Any, int, NDArray[np.float32]]] = deque()
        try:
            for index, batch in enumerate(batches(tiles, self._size)):
                request = self._take(running, answers)
                running.append((request, index * self._size, batch))
                request.set_input_tensor(self._tensor(batch, shared_memory=True))
                request.start_async()
            while running:
                self._collect(running, answers)
        finally:
            for request, _, _ in running:
                request.wait()
                self._idle.put(request)
        return answers

    def _take(self, running: deque[Any], answers: NDArray[np.float32]) -> Any:
        """An idle request; where none is, finish one's own first, and wait only empty-handed.

        A caller that waits holds nothing that another caller waits for: no deadlock.
        """
        while running:
            try:
                return self._idle.get_nowait()
            except queue.Empty:
                self._collect(running, answers)
        return self._idle.get()

    def _collect(self, running: deque[Any], answers: NDArray[np.float32]) -> None:
        """Wait for the oldest running request, keep its answer, and make it idle again."""
        request, start, _ = running[0]
        request.wait()
        part = answers[start : start + self._size]
        part[...] = request.get_output_tensor().data[: len(part)]
        running.popleft()
        self._idle.put(request)
