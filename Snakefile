from snakemake.utils import min_version

from workflow import snake

min_version("9.27")


configfile: f"{workflow.basedir}/config.yaml"


# The code is importable in every environment; nothing is installed.
shell.prefix(f"export PYTHONPATH={workflow.basedir} PYTHONNOUSERSITE=1; ")

pipeline = snake.pipeline(config, workflow)


wildcard_constraints:
    shard=r"s\d{5}",
    split="train|val|test",


include: "rules/capture.smk"
include: "rules/body.smk"
include: "rules/appearance.smk"
include: "rules/dataset.smk"
include: "rules/training.smk"
include: "rules/reconstruction.smk"
include: "rules/accuracy.smk"
include: "rules/targets.smk"


rule all:
    default_target: True
    input:
        pipeline.dataset,
        pipeline.model,


onstart:
    snake.hold_run_lock()


onsuccess:
    shell("python -m tools tally")
