rule latents:
    input:
        **pipeline.latents.inputs,
    output:
        **pipeline.latents.outputs,
    log:
        pipeline.latents.log,
    benchmark:
        pipeline.latents.benchmark
    conda:
        pipeline.latents.env
    envmodules:
        pipeline.latents.module,
    threads: pipeline.latents.threads
    resources:
        **pipeline.latents.resources,
    params:
        **pipeline.latents.params,
    shell:
        pipeline.latents.command


rule train:
    input:
        **pipeline.train.inputs,
    output:
        checkpoint=pipeline.train.outputs["checkpoint"],
        config=pipeline.train.outputs["config"],
        curve=pipeline.train.outputs["curve"],
        plot=report(pipeline.train.outputs["plot"], category="Model"),
        validation=pipeline.train.outputs["validation"],
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
        video=report(pipeline.sample.outputs["video"], category="Model"),
        sheet=report(pipeline.sample.outputs["sheet"], category="Model"),
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
