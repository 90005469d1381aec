"""From the declarations to Snakemake's directives. The Snakefile and the rules import this one module."""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
import re
import subprocess
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Union

from workflow import catalog, layout, pins, rendered, zoo
from workflow.config import Choice, Config, parse
from workflow.errors import ConfigError, ContractError, ToolError
from workflow.rendered import ESTIMATED, TRUTH
from workflow.stage import File, Port
from workflow.stages import STAGES
from workflow.stages.report import EVERY_PAGE, OVERVIEW
from workflow.stages.shards import CATALOG, CLIPS, EVERY_SHARD, INDEX
from workflow.stages.train import CHECKPOINT, VIDEO

Paths = Union[str, list[str]]

# Options of Snakemake that run no job.
_LOOKING = frozenset(
    ("--dry-run", "--dryrun", "--lint", "--list-rules", "--list-target-rules", "--dag", "--rulegraph", "--filegraph",
     "--d3dag", "--summary", "--detailed-summary", "--list-input-changes", "--list-params-changes")
)  # fmt: skip
# Options that run no job either, but change something.
_PREPARING = frozenset(
    ("--conda-create-envs-only", "--conda-cleanup-envs", "--unlock", "--cleanup-metadata", "--touch",
     "--delete-all-output", "--delete-temp-output", "--containerize", "--generate-unit-tests", "--archive")
)  # fmt: skip
_RUN_LOCK = Path("catalog/.run")


@dataclass(frozen=True)
class Rule:
    """Directives of one rule, ready to be unpacked."""

    inputs: dict[str, Any]
    outputs: dict[str, str]
    log: str
    benchmark: str
    env: str
    module: str
    threads: int
    resources: dict[str, Any]
    params: dict[str, Any]
    command: str


class Pipeline:
    """Rules by stage name, and the targets."""

    def __init__(
        self, config: Config, shards: Mapping[str, str], planning: bool = False, exact: Collection[str] = ()
    ) -> None:
        """Derive everything from a configuration and the catalog's shards.

        Args:
            config: Checked configuration.
            shards: Split of every shard.
            planning: Nothing will run: files that a run would write before its first job may be missing.
            exact: Shards that hold clips whose truth takes the place of estimates.
        """
        self._exact = frozenset(exact)
        self.config = config
        self._planning = planning
        self._shards = dict(shards)
        self._rules = {name: self._rule(choice) for name, choice in config.choices.items()}
        self.shard_stores = self._each(EVERY_SHARD)
        self.dataset = [*self.shard_stores, INDEX.path, *self._each(EVERY_PAGE), OVERVIEW.path]
        self.model = [CHECKPOINT.path, VIDEO.path]

    def __getattr__(self, stage: str) -> Rule:
        """Directives of a stage's rule."""
        try:
            return self.__dict__["_rules"][stage]
        except KeyError:
            raise AttributeError(f"no stage {stage!r}; one of {', '.join(STAGES)}") from None

    def _each(self, port: File) -> list[str]:
        return [port.path.format(shard=shard, split=split) for shard, split in self._shards.items()]

    def _input(self, port: Port) -> Paths | Callable[..., Paths]:
        path = self._path(port)
        written_before_jobs = port in (CLIPS, CATALOG)
        return _if_there(str(path)) if self._planning and written_before_jobs else path

    def _path(self, port: Port) -> Paths:
        if not isinstance(port, File):
            return layout.artifact(port)
        return self._each(port) if port.each else port.path

    def _annotations(self, wildcards: Any) -> str:
        return TRUTH if wildcards.shard in self._exact else ESTIMATED

    def _rule(self, choice: Choice) -> Rule:
        stage, backend = choice.stage, choice.backend
        taken = [port for port in stage.inputs if not isinstance(port, File) or port.wanted(choice.params)]
        inputs = {port.name: self._input(port) for port in taken}
        outputs = {port.name: str(self._path(port)) for port in stage.outputs}
        job = "{shard}" if any("{shard}" in path for path in outputs.values()) else "all"
        if any("{split}" in path for path in outputs.values()):
            job = "{split}/{shard}"
        flags = [f"--{name.replace('_', '-')} {{{side}.{name}:q}}" for side, names in
                 (("input", inputs), ("output", outputs)) for name in names]  # fmt: skip
        need = choice.params.needs(backend.resources)
        on_cpu = getattr(choice.params, "device", "") == "cpu"
        named = choice.params.files()
        if stage.truth:
            flags.append("--annotations {params.annotations}")
        return Rule(
            inputs={**inputs, "named_files": named} if named else inputs,
            outputs=outputs,
            log=layout.log(stage.name, job),
            benchmark=layout.benchmark(stage.name, job),
            env=layout.environment(backend.env),
            module=f"strata-{backend.env}",
            threads=need.threads,
            resources={
                "mem_mb": _growing(need.mem_mb),
                "runtime": need.runtime_min,
                "gpu": 0 if on_cpu else need.gpus,
                "gpu_class": "cpu" if on_cpu else need.gpu_class,
            },
            params={
                "backend": choice.name,
                "version": backend.version,
                "settings": json.dumps(dataclasses.asdict(choice.params), sort_keys=True),
                **_weights(choice),
                **({"annotations": self._annotations} if stage.truth else {}),
            },
            command=" ".join(
                [
                    f"python -m tools {stage.name} --backend {{params.backend}} --version {{params.version}}",
                    "--settings {params.settings:q}",
                    *flags,
                    "--log {log:q}",
                ]
            ),
        )


def _if_there(pattern: str) -> Callable[..., Paths]:
    """Input that is left out of a plan while its file does not exist."""

    def found(wildcards: Any) -> Paths:
        path = pattern.format(**wildcards)
        return path if Path(path).exists() else []

    return found


def _weights(choice: Choice) -> dict[str, dict[str, str]]:
    """Digests of a backend's weights: another file under the same name makes its stage run again."""
    found = {}
    for need in zoo.needs(choice.backend, choice.params):
        found[need.name] = pins.digest(need.path) if need.path is not None else "missing"
    return {"weights": found} if found else {}


def _check_weights(config: Config, only_looks: bool) -> None:
    """Say which weights are missing, wrong or of another body before anything starts; a plan is only warned.

    Raises:
        ConfigError: Some are.
    """
    choices = [(c.stage.name, c.name, c.backend, c.params) for c in config.choices.values()]
    lacks = zoo.lacking(choices)
    told = [zoo.explain(lacks)] if lacks else []
    told += pins.mismatches(choices)
    told += _wrong_body(config)
    if told and not only_looks:
        raise ConfigError("\n".join(told))
    for message in told:
        sys.stderr.write(f"warning: {message}\n")


def _wrong_body(config: Config) -> list[str]:
    """Message about a backend of the body that knows SMPL only, where the run is to use another body."""
    body, model = config.choices["body"], config.choices["body_model"]
    if model.name == "smpl" or not getattr(body.params, "smpl_only", False):
        return []
    return [
        f"stages.body: backend {body.name} gives the parameters of SMPL with these settings, but the backend of "
        f"stages.body_model is {model.name}; set that to smpl, whose files are listed in docs/model-zoo.md"
    ]


def _growing(mem_mb: int) -> Callable[..., int]:
    """Memory that grows with every attempt, for executors that resubmit."""

    def memory(wildcards: Any, attempt: int) -> int:
        return mem_mb * attempt

    return memory


def hold_run_lock() -> None:
    """Let one run at a time work in a directory. The kernel frees the lock when the process dies, however it dies.

    Raises:
        SystemExit: Another run works here.
    """
    _RUN_LOCK.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(_RUN_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(handle, 64).decode() or "unknown"
        raise SystemExit(
            f"{_RUN_LOCK}: another run works in this directory (process {holder.strip()}); wait for it to end, "
            "or use another --directory"
        ) from None
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)


def _only_looks(argv: list[str]) -> bool:
    """Whether Snakemake was asked to plan or tell only. It does not say so itself while it reads the Snakefile."""
    long = any(word.split("=")[0] in _LOOKING for word in argv)
    return long or any(re.fullmatch(r"-[npqF]*n[npqF]*", word) for word in argv)


def _prepares(argv: list[str]) -> bool:
    """Whether Snakemake was asked to prepare or clean up, which needs no weights."""
    return any(word.split("=")[0] in _PREPARING for word in argv)


def _render(config: Config, dry_run: bool) -> bool:
    """Bring the rendered clips in step with their settings, in a process of its own; whether they are there."""
    settings = dataclasses.asdict(config.settings.synthetic)
    kept = layout.SYNTHETIC / layout.SYNTHETIC_SETTINGS
    wanted = {"settings": settings, "version": layout.SYNTHETIC_VERSION}
    if kept.exists() and json.loads(kept.read_text()) == wanted:
        return True
    if dry_run:
        sys.stderr.write("synthetic: the clips are not rendered yet, so they are missing from this plan\n")
        return any(layout.SYNTHETIC.glob("*.mp4"))
    command = [sys.executable, "-m", "tools", "synthetic", "render", "--settings", json.dumps(settings)]
    environment = {**os.environ, "PYTHONPATH": str(layout.repository)}
    if subprocess.run([*command, "--into", str(layout.SYNTHETIC)], env=environment, check=False).returncode:
        raise SystemExit("the synthetic clips could not be rendered; see the message above")
    return True


def _sync(config: Config, known: catalog.Catalog, dry_run: bool) -> catalog.Catalog:
    """Bring new and changed videos into the catalog, in a process of its own."""
    settings = config.catalog_settings()
    if config.settings.synthetic.clips and (_render(config, dry_run) or not dry_run):
        settings["videos"].append(str(layout.SYNTHETIC))
    if not settings["videos"]:
        return known  # a plan before the first clip is rendered
    same = all(known.settings.get(key, value) == value for key, value in settings.items() if key != "videos")
    if same and not catalog.pending(settings["videos"], known, Path.cwd(), settings["subjects"]):
        return known
    command = [sys.executable, "-m", "tools", "catalog", "sync", "--settings", json.dumps(settings)]
    into = Path(".snakemake") / f"dry-run-{os.getpid()}.jsonl"
    if dry_run:
        into.parent.mkdir(exist_ok=True)
        command += ["--dry-run", "--into", str(into)]
    environment = {**os.environ, "PYTHONPATH": str(layout.repository)}
    try:
        if subprocess.run(command, env=environment, check=False).returncode:
            raise SystemExit("the catalog could not be brought up to date; see the message above")
        return catalog.read(into if dry_run else layout.CATALOG)
    finally:
        into.unlink(missing_ok=True)


def pipeline(raw: Mapping[str, Any], workflow: Any) -> Pipeline:
    """Check the configuration, bring the catalog up to date, and derive the rules.

    Args:
        raw: Snakemake's `config`.
        workflow: Snakemake's `workflow` object.
    """
    try:
        config = parse(raw)
        known = catalog.read(layout.CATALOG)
        dry_run = False
        if workflow.is_main_process:
            dry_run = _only_looks(sys.argv)
            _check_weights(config, dry_run or _prepares(sys.argv))
            known = _sync(config, known, dry_run)
            if not dry_run:
                catalog.write_manifests(known, Path.cwd())
                catalog.write_snapshot(known, Path.cwd())
    except (ConfigError, ContractError, ToolError) as error:
        raise SystemExit(str(error)) from None
    exact = rendered.shards(known) if config.settings.annotations == TRUTH else ()
    return Pipeline(config, known.shards(), planning=dry_run, exact=exact)
