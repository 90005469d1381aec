rule frames:
    input:
        **pipeline.frames.inputs,
    output:
        **pipeline.frames.outputs,
    log:
        pipeline.frames.log,
    benchmark:
        pipeline.frames.benchmark
    conda:
        pipeline.frames.env
    envmodules:
        pipeline.frames.module,
    threads: pipeline.frames.threads
    resources:
        **pipeline.frames.resources,
    params:
        **pipeline.frames.params,
    shell:
        pipeline.frames.command


rule keypoints:
    input:
        **pipeline.keypoints.inputs,
    output:
        **pipeline.keypoints.outputs,
    log:
        pipeline.keypoints.log,
    benchmark:
        pipeline.keypoints.benchmark
    conda:
        pipeline.keypoints.env
    envmodules:
        pipeline.keypoints.module,
    threads: pipeline.keypoints.threads
    resources:
        **pipeline.keypoints.resources,
    params:
        **pipeline.keypoints.params,
    shell:
        pipeline.keypoints.command
