rule all:
    default_target: True
    input:
        pipeline.dataset,
        pipeline.model,


rule dataset:
    input:
        pipeline.dataset,


rule shards_only:
    input:
        pipeline.shard_stores,
