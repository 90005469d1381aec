rule accuracy:
    input:
        **pipeline.accuracy.inputs,
    output:
        **pipeline.accuracy.outputs,
    log:
        pipeline.accuracy.log,
    benchmark:
        pipeline.accuracy.benchmark
    conda:
        pipeline.accuracy.env
    envmodules:
        pipeline.accuracy.module,
    threads: pipeline.accuracy.threads
    resources:
        **pipeline.accuracy.resources,
    params:
        **pipeline.accuracy.params,
    shell:
        pipeline.accuracy.command
