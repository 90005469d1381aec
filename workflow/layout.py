"""Where things are: the only module that knows a path.

Paths of results are relative to the working directory; `repository` is where the code lies.
"""

from __future__ import annotations

import os
from pathlib import Path

from workflow.artifact import Artifact

repository = Path(__file__).resolve().parent.parent

CATALOG = Path("catalog/clips.jsonl")
SNAPSHOT = Path("catalog/current.jsonl")  # the catalog without its history; changes only when what it says does
SYNTHETIC = Path("synthetic")  # rendered clips, `videos.csv` and `truth` among them
SYNTHETIC_VERSION = 2  # of the renderer: raise it when the same settings give other pictures
SYNTHETIC_SETTINGS = ".settings.json"  # in that folder: what it was rendered from; written last
WEIGHTS = Path(os.environ.get("STRATA_WEIGHTS") or repository / "model_zoo" / "weights").expanduser()


def artifact(kind: type[Artifact]) -> str:
    """Path pattern of an artifact file, with the wildcard `{shard}`."""
    return f"work/{{shard}}/{kind.name}.zip"


def manifest(shard: str) -> Path:
    """List of the clips of a shard."""
    return Path("work") / shard / "clips.json"


def log(stage: str, wildcards: str) -> str:
    """Path pattern of a stage's log; `wildcards` names the job, such as "{shard}"."""
    return f"logs/{stage}/{wildcards}.log"


def benchmark(stage: str, wildcards: str) -> str:
    """Path pattern of what Snakemake measures of a job."""
    return f"benchmarks/{stage}/{wildcards}.tsv"


def environment(name: str) -> str:
    """Conda environment file of a dependency set."""
    return str(repository / "envs" / f"{name}.yaml")
