rule body_model:
    input:
        **pipeline.body_model.inputs,
    output:
        **pipeline.body_model.outputs,
    log:
        pipeline.body_model.log,
    benchmark:
        pipeline.body_model.benchmark
    conda:
        pipeline.body_model.env
    envmodules:
        pipeline.body_model.module,
    threads: pipeline.body_model.threads
    resources:
        **pipeline.body_model.resources,
    params:
        **pipeline.body_model.params,
    shell:
        pipeline.body_model.command


rule body:
    input:
        **pipeline.body.inputs,
    output:
        **pipeline.body.outputs,
    log:
        pipeline.body.log,
    benchmark:
        pipeline.body.benchmark
    conda:
        pipeline.body.env
    envmodules:
        pipeline.body.module,
    threads: pipeline.body.threads
    resources:
        **pipeline.body.resources,
    params:
        **pipeline.body.params,
    shell:
        pipeline.body.command


rule canonical:
    input:
        **pipeline.canonical.inputs,
    output:
        **pipeline.canonical.outputs,
    log:
        pipeline.canonical.log,
    benchmark:
        pipeline.canonical.benchmark
    conda:
        pipeline.canonical.env
    envmodules:
        pipeline.canonical.module,
    threads: pipeline.canonical.threads
    resources:
        **pipeline.canonical.resources,
    params:
        **pipeline.canonical.params,
    shell:
        pipeline.canonical.command
