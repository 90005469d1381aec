rule instant_nvr:
    input:
        **pipeline.instant_nvr.inputs,
    output:
        **pipeline.instant_nvr.outputs,
    log:
        pipeline.instant_nvr.log,
    benchmark:
        pipeline.instant_nvr.benchmark
    conda:
        pipeline.instant_nvr.env
    envmodules:
        pipeline.instant_nvr.module,
    threads: pipeline.instant_nvr.threads
    resources:
        **pipeline.instant_nvr.resources,
    params:
        **pipeline.instant_nvr.params,
    shell:
        pipeline.instant_nvr.command
