rule shards:
    input:
        **pipeline.shards.inputs,
    output:
        **pipeline.shards.outputs,
    log:
        pipeline.shards.log,
    benchmark:
        pipeline.shards.benchmark
    conda:
        pipeline.shards.env
    envmodules:
        pipeline.shards.module,
    threads: pipeline.shards.threads
    resources:
        **pipeline.shards.resources,
    params:
        **pipeline.shards.params,
    shell:
        pipeline.shards.command


rule index:
    input:
        **pipeline.index.inputs,
    output:
        **pipeline.index.outputs,
    log:
        pipeline.index.log,
    benchmark:
        pipeline.index.benchmark
    conda:
        pipeline.index.env
    envmodules:
        pipeline.index.module,
    threads: pipeline.index.threads
    resources:
        **pipeline.index.resources,
    params:
        **pipeline.index.params,
    shell:
        pipeline.index.command


rule report:
    input:
        **pipeline.report.inputs,
    output:
        page=report(
            pipeline.report.outputs["page"],
            category="Shards",
            labels={"shard": "{split}/{shard}"},
        ),
    log:
        pipeline.report.log,
    benchmark:
        pipeline.report.benchmark
    conda:
        pipeline.report.env
    envmodules:
        pipeline.report.module,
    threads: pipeline.report.threads
    resources:
        **pipeline.report.resources,
    params:
        **pipeline.report.params,
    shell:
        pipeline.report.command


rule overview:
    input:
        **pipeline.overview.inputs,
    output:
        overview=report(pipeline.overview.outputs["overview"], category="Data set"),
    log:
        pipeline.overview.log,
    benchmark:
        pipeline.overview.benchmark
    conda:
        pipeline.overview.env
    envmodules:
        pipeline.overview.module,
    threads: pipeline.overview.threads
    resources:
        **pipeline.overview.resources,
    params:
        **pipeline.overview.params,
    shell:
        pipeline.overview.command
