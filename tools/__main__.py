"""The one runner: `python -m tools STAGE ...` runs a stage, `python -m tools STAGE COMMAND ...` asks about it."""

from __future__ import annotations

import argparse
import importlib
import logging
import shlex
import sys
from pathlib import Path

from tools import runner
from workflow import layout
from workflow.errors import ConfigError, ContractError, ToolError
from workflow.rendered import ANNOTATIONS, ESTIMATED
from workflow.stage import File, Stage
from workflow.stages import STAGES

# Commands that are no stage runs; each module has `main(argv) -> exit code`.
COMMANDS = {
    "bench": "tools.bench.cli",
    "catalog": "tools.catalog.cli",
    "demo": "tools.demo.cli",
    "docs": "tools.docs.cli",
    "export": "tools.export.cli",
    "import": "tools.import_data.cli",
    "sample": "tools.sample.cli",
    "sapiens": "tools.sapiens.cli",
    "shards": "tools.shards.cli",
    "synthetic": "tools.synthetic.cli",
    "tally": "tools.report.tally",
    "train": "tools.train.cli",
    "zoo": "tools.zoo.cli",
}

_NOISY = ("numba", "matplotlib", "PIL", "absl", "jax", "anny", "anny_model")  # libraries that tell their own story


class _Formatter(logging.Formatter):
    """Plain lines for the story; the level in front of what somebody should look at."""

    def format(self, record: logging.LogRecord) -> str:
        """Format one record."""
        text = super().format(record)
        return text if record.levelno == logging.INFO else f"{record.levelname.lower()}: {text}"


def parser(stage: Stage) -> argparse.ArgumentParser:
    """Command line of a stage, from its declaration."""
    made = argparse.ArgumentParser(prog=f"python -m tools {stage.name}", description=stage.summary)
    made.add_argument("--backend", choices=sorted(stage.backends), default=stage.default)
    made.add_argument("--version", type=int, help="backend version the caller planned with; must be this code's")
    made.add_argument("--settings", default="{}", help="JSON object; see docs/configuration.md")
    made.add_argument("--log", type=Path, help="also write the log to this file")
    if stage.truth:
        made.add_argument("--annotations", choices=ANNOTATIONS, default=ESTIMATED, help="of rendered clips")
    for port in stage.inputs:
        several = isinstance(port, File) and port.each
        always = not (isinstance(port, File) and port.when)
        flag = f"--{port.name.replace('_', '-')}"
        made.add_argument(flag, type=Path, required=always, nargs="*" if several else None)
    for port in stage.outputs:
        made.add_argument(f"--{port.name.replace('_', '-')}", type=Path, required=True)
    return made


def _configure_logging(log: Path | None) -> None:
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if log is not None:
        log.parent.mkdir(parents=True, exist_ok=True)
        handlers.append(logging.FileHandler(log, mode="w"))
    for handler in handlers:
        handler.setFormatter(_Formatter("%(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=handlers, force=True)
    logging.captureWarnings(True)
    for noisy in _NOISY:
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _pasteable(name: str, argv: list[str]) -> str:
    """Command that runs the same job again from anywhere, by hand."""
    where = shlex.quote(str(Path.cwd())), shlex.quote(str(layout.repository))
    return f"cd {where[0]} && PYTHONPATH={where[1]} python -m tools {shlex.join([name, *argv])}"


def _run_stage(stage: Stage, argv: list[str]) -> None:
    options = parser(stage).parse_args(argv)
    _configure_logging(options.log)
    if options.log is not None:
        logging.getLogger("tools").info("%s", _pasteable(stage.name, argv))
    backend = stage.backends[options.backend]
    if options.version is not None and options.version != backend.version:
        raise ToolError(
            f"{stage.name}/{options.backend}: the job was planned for version {options.version}, "
            f"this code is version {backend.version}; run snakemake again"
        )
    params = runner.settings_of(backend, runner.parse_settings(options.settings))
    given = vars(options)
    inputs = {port.name: given[port.name] for port in stage.inputs if given[port.name] is not None}
    missing = [
        str(path)
        for value in inputs.values()
        for path in (value if isinstance(value, list) else [value])
        if not path.exists()
    ]
    if missing:
        raise ToolError(f"{stage.name}: input is missing: {', '.join(missing)}; run the stage that writes it")
    outputs = {port.name: given[port.name] for port in stage.outputs}
    runner.run(stage, options.backend, params, inputs, outputs, given.get("annotations", ESTIMATED))


def main(argv: list[str]) -> int:
    """Run a stage or a command; returns the exit code."""
    names = sorted({*STAGES, *COMMANDS})
    if not argv or argv[0] in ("-h", "--help") or argv[0] not in names:
        sys.stderr.write(f"usage: python -m tools NAME ...\n  names: {', '.join(names)}\n")
        return 0 if argv and argv[0] in ("-h", "--help") else 2
    name, rest = argv[0], argv[1:]
    is_command = name in COMMANDS and (name not in STAGES or (rest and not rest[0].startswith("-")))
    try:
        if is_command:
            _configure_logging(None)
            return int(importlib.import_module(COMMANDS[name]).main(rest))
        _run_stage(STAGES[name], rest)
    except (ConfigError, ContractError, ToolError) as error:
        logging.getLogger("tools").error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
