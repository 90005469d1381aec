rule train:
    input:
        **pipeline.train.inputs,
    output:
        **pipeline.train.outputs,
    log:
        pipeline.train.log,
    benchmark:
        pipeline.train.benchmark
    conda:
        pipeline.train.env
    envmodules:
        pipeline.train.module,
    threads: pipeline.train.threads
    resources:
        **pipeline.train.resources,
    params:
        **pipeline.train.params,
    shell:
        pipeline.train.command


rule sample:
    input:
        **pipeline.sample.inputs,
    output:
        **pipeline.sample.outputs,
    log:
        pipeline.sample.log,
    benchmark:
        pipeline.sample.benchmark
    conda:
        pipeline.sample.env
    envmodules:
        pipeline.sample.module,
    threads: pipeline.sample.threads
    resources:
        **pipeline.sample.resources,
    params:
        **pipeline.sample.params,
    shell:
        pipeline.sample.command
