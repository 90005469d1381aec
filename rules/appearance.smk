rule parsing:
    input:
        **pipeline.parsing.inputs,
    output:
        **pipeline.parsing.outputs,
    log:
        pipeline.parsing.log,
    benchmark:
        pipeline.parsing.benchmark
    priority: 1  # before the canonical assets, for which nothing waits but the shard
    conda:
        pipeline.parsing.env
    envmodules:
        pipeline.parsing.module,
    threads: pipeline.parsing.threads
    resources:
        **pipeline.parsing.resources,
    params:
        **pipeline.parsing.params,
    shell:
        pipeline.parsing.command


rule crop:
    input:
        **pipeline.crop.inputs,
    output:
        **pipeline.crop.outputs,
    log:
        pipeline.crop.log,
    benchmark:
        pipeline.crop.benchmark
    conda:
        pipeline.crop.env
    envmodules:
        pipeline.crop.module,
    threads: pipeline.crop.threads
    resources:
        **pipeline.crop.resources,
    params:
        **pipeline.crop.params,
    shell:
        pipeline.crop.command


rule surface:
    input:
        **pipeline.surface.inputs,
    output:
        **pipeline.surface.outputs,
    log:
        pipeline.surface.log,
    benchmark:
        pipeline.surface.benchmark
    conda:
        pipeline.surface.env
    envmodules:
        pipeline.surface.module,
    threads: pipeline.surface.threads
    resources:
        **pipeline.surface.resources,
    params:
        **pipeline.surface.params,
    shell:
        pipeline.surface.command


rule layers:
    input:
        **pipeline.layers.inputs,
    output:
        **pipeline.layers.outputs,
    log:
        pipeline.layers.log,
    benchmark:
        pipeline.layers.benchmark
    conda:
        pipeline.layers.env
    envmodules:
        pipeline.layers.module,
    threads: pipeline.layers.threads
    resources:
        **pipeline.layers.resources,
    params:
        **pipeline.layers.params,
    shell:
        pipeline.layers.command


rule scene:
    input:
        **pipeline.scene.inputs,
    output:
        **pipeline.scene.outputs,
    log:
        pipeline.scene.log,
    benchmark:
        pipeline.scene.benchmark
    conda:
        pipeline.scene.env
    envmodules:
        pipeline.scene.module,
    threads: pipeline.scene.threads
    resources:
        **pipeline.scene.resources,
    params:
        **pipeline.scene.params,
    shell:
        pipeline.scene.command
