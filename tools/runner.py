"""Runs one stage on one shard: opens inputs, calls the backend clip by clip, writes outputs whole or not at all."""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import os
import resource
import time
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tools import device, progress, provenance
from tools.truth import records
from workflow import catalog, layout, pins, store, zoo
from workflow.artifact import Artifact
from workflow.errors import Rejected, ToolError
from workflow.raster import Spool
from workflow.rendered import ESTIMATED, TRUTH
from workflow.stage import Backend, File, Params, Stage

logger = logging.getLogger(__name__)

Paths = Mapping[str, "Path | list[Path]"]


def settings_of(backend: Backend, raw: Mapping[str, Any]) -> Params:
    """Settings from JSON.

    Raises:
        ToolError: Keys are unknown, or values are of a wrong type or cannot work; with all of them.
    """
    types = typing.get_type_hints(backend.params)
    faults = [f"{key}: unknown key; one of {', '.join(types)}" for key in raw if key not in types]
    for key in (key for key in raw if key in types):
        container = typing.get_origin(types[key]) is dict
        allowed = (dict,) if container else typing.get_args(types[key]) or (types[key],)
        if type(raw[key]) not in ((*allowed, int) if float in allowed else allowed):
            wanted = " or ".join("null" if kind is type(None) else kind.__name__ for kind in allowed)
            faults.append(f"{key}: is {raw[key]!r}, expected {wanted}")
    params = Params() if faults else backend.params(**raw)
    faults = faults or params.faults()
    if faults:
        raise ToolError("--settings: " + "; ".join(faults))
    return params


def run(
    stage: Stage, name: str, params: Params, inputs: Paths, outputs: Mapping[str, Path], annotations: str = ESTIMATED
) -> None:
    """Run a backend of a stage.

    Args:
        stage: Declaration of the stage.
        name: Backend.
        params: Its settings.
        inputs: Path, or paths, of every input by name.
        outputs: Path of every output by name.
        annotations: "truth": rendered clips get what is exactly in them, others what the backend says.
    """
    started = time.monotonic()
    backend = stage.backends[name]
    weights = zoo.paths(stage.name, name, backend, params)
    sums = pins.sums(weights)
    gpus = params.needs(backend.resources).gpus
    if gpus and _wants_gpu(params):
        chosen = device.claim(device.count(), wanted=gpus)
        logger.info("%s: GPU %s", stage.name, "chosen by the scheduler" if chosen is None else chosen)
    Spool.directory = next(iter(outputs.values())).parent
    for path in outputs.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    logger.info("%s/%s v%d: start, settings %s", stage.name, name, backend.version, params)
    if stage.per_clip:
        frames = _run_clips(stage, name, params, inputs, outputs, weights, sums, annotations)
    else:
        frames = 0
        importlib.import_module(f"tools.{stage.name}.{name}").run(params, inputs, outputs)
    for path in outputs.values():
        logger.info("%s: wrote %s", stage.name, path)
    seconds = time.monotonic() - started
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rate = f", {frames / seconds:.1f} frames/s" if frames else ""
    logger.info("%s/%s: done in %.1f s%s, peak memory %.0f MB", stage.name, name, seconds, rate, peak_mb)


def _wants_gpu(params: Params) -> bool:
    """Whether the job takes a GPU: not when its `device` is cpu, nor when it is auto and the machine has none."""
    wanted = getattr(params, "device", "cuda")
    if wanted == "auto" and not os.environ.get("CUDA_VISIBLE_DEVICES") and device.count() < 1:
        logger.info("device is auto and no GPU is visible: runs on the CPU")
        return False
    return bool(wanted != "cpu")


def _run_clips(
    stage: Stage,
    name: str,
    params: Params,
    inputs: Paths,
    outputs: Mapping[str, Path],
    weights: Mapping[str, Path],
    sums: Mapping[str, str],
    annotations: str,
) -> int:
    """Call the backend for every clip that no earlier stage rejected; returns the frames worked through."""
    artifacts = [port for port in stage.inputs if not isinstance(port, File)]
    files = {port.name: inputs[port.name] for port in stage.inputs if isinstance(port, File)}
    (produced,) = stage.outputs  # a clip stage gives one artifact
    assert isinstance(produced, type)
    with contextlib.ExitStack() as stack:
        readers: list[store.Reader[Artifact]] = [
            stack.enter_context(store.Reader(_one(inputs[kind.name]), kind)) for kind in artifacts
        ]
        digests = {kind.name: reader.digest() for kind, reader in zip(artifacts, readers)}
        digests.update({key: provenance.file_digest(_one(path)) for key, path in files.items()})
        rows = () if readers else catalog.read_manifest(_one(files["clips"])).clips
        known = None if readers else catalog.read(layout.CATALOG)
        clips = readers[0].clips if readers else tuple(row.id for row in rows)
        files.update(weights)
        made = provenance.record(stage.name, name, stage.backends[name].version, vars(params), digests, sums)
        exact = records.of(clips) if stage.truth and annotations == TRUTH else {}
        if exact:
            made["truth"] = {clip: provenance.file_digest(record.path) for clip, record in exact.items()}
        writer = stack.enter_context(store.writing(outputs[produced.name], produced, made))
        work = exactly = None
        frames = 0
        label = f"{stage.name} {outputs[produced.name].parent.name}"
        for index, clip in enumerate(progress.bar(clips, len(clips), label)):
            earlier = [found for reader in readers if (found := reader.rejection(clip))]
            if earlier:
                writer.reject(clip, earlier[0])
                continue
            if clip in exact and exactly is None:
                exactly = importlib.import_module(f"tools.truth.{stage.name}").load(params, files)
            elif clip not in exact and work is None:
                work = importlib.import_module(f"tools.{stage.name}.{name}").load(params, files)
            try:
                if clip in exact:
                    result = exactly(exact[clip], *(reader.read(clip) for reader in readers))
                elif known is None:
                    result = work(*(reader.read(clip) for reader in readers))
                else:
                    result = work(rows[index], known.locate(rows[index].sha256, Path.cwd()))
            except Rejected as rejected:
                logger.warning("%s: clip %s rejected: %s", stage.name, clip, rejected.reason)
                writer.reject(clip, store.Rejection(stage.name, rejected.reason))
                continue
            frames += _length(result)
            writer.add(clip, result)
        return frames


def _one(path: Path | list[Path]) -> Path:
    if isinstance(path, list):
        raise ToolError(f"got {len(path)} paths where one is expected: {path[0]} ...")
    return path


def _length(artifact: Artifact) -> int:
    """Number of frames of a clip."""
    for field_name, spec in artifact.specs().items():
        if spec.axes[0][0] == "time":
            return len(getattr(artifact, field_name))
    return 0


def parse_settings(text: str) -> dict[str, Any]:
    """Settings from the command line."""
    try:
        raw = json.loads(text)
    except json.JSONDecodeError as error:
        raise ToolError(f"--settings: is not JSON ({error}): {text}") from None
    if not isinstance(raw, dict):
        raise ToolError(f"--settings: is {type(raw).__name__}, expected a JSON object")
    return raw
