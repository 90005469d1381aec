rule dataset:
    input:
        pipeline.dataset,


rule shards_only:
    input:
        pipeline.shard_stores,
