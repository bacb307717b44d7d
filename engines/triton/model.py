"""The model that Triton's Python backend runs: an ``Inpainter`` in each instance.

Inputs and outputs are in ``config.pbtxt``. Parameters of a request have the names of ``InpaintOptions``.
"""

import json
import os
from dataclasses import fields, replace

import cv2
import triton_python_backend_utils as pb_utils

from iic_rt import Inpainter, InpaintOptions
from iic_rt.errors import IICError, InputError

OWN = {"outputs"}  # options that the requested outputs stand for
ALLOWED = sorted({field.name for field in fields(InpaintOptions)} - OWN)


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        config = json.loads(args["model_config"])
        settings = {name: json.loads(entry["string_value"]) for name, entry in config["parameters"].items()}
        instances = sum(group["count"] for group in config["instance_group"])
        threads = settings.pop("threads") or max(1, len(os.sched_getaffinity(0)) // instances)
        cv2.setNumThreads(threads)  # resizing and filters have threads of their own
        warmup = settings.pop("warmup")
        self._options = InpaintOptions()
        try:
            self._inpainter = Inpainter(**settings, threads=threads, options=self._options)
            self._inpainter.warmup(warmup)
        except IICError as error:
            raise pb_utils.TritonModelException(str(error)) from error

    def execute(self, requests: list) -> list:
        return [self._answer(request) for request in requests]

    def _answer(self, request: object) -> object:
        try:
            tensors = self._fill(request)
        except InputError as error:
            failure = pb_utils.TritonError(str(error), pb_utils.TritonError.INVALID_ARG)
        except IICError as error:
            failure = pb_utils.TritonError(str(error), pb_utils.TritonError.INTERNAL)
        else:
            return pb_utils.InferenceResponse([pb_utils.Tensor(name, value) for name, value in tensors.items()])
        return pb_utils.InferenceResponse(error=failure)

    def _fill(self, request: object) -> dict:
        arrays = {}
        for name in ("image", "mask", "avoid", "prefer"):
            tensor = pb_utils.get_input_tensor_by_name(request, name)
            arrays[name] = None if tensor is None else tensor.as_numpy()
        wanted = request.requested_output_names()
        result = self._inpainter.inpaint(**arrays, options=self._options_of(request, "confidence" in wanted))
        return {name: getattr(result, name) for name in wanted}

    def _options_of(self, request: object, confidence: bool) -> InpaintOptions:
        told = json.loads(request.parameters() or "{}")
        unknown = sorted(set(told) - set(ALLOWED))
        if unknown:
            raise InputError(f"unknown parameters {unknown}; allowed: {', '.join(ALLOWED)}")
        try:
            return replace(self._options, **told, outputs=("confidence",) if confidence else ())
        except TypeError as error:
            raise InputError(f"parameters are {told}: {error}") from error

    def finalize(self) -> None:
        self._inpainter.close()
