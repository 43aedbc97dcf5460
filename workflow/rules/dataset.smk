rule segments:
    input:
        songs="results/corpus/shards/{shard}.jsonl",
        listened="results/listen/{shard}",
        code=sources("segments"),
    output:
        directory("results/dataset/segments/{shard}"),
    log:
        "results/logs/segments/{shard}.log",
    benchmark:
        "results/benchmarks/segments/{shard}.tsv"
    params:
        section=section("segments"),
    message:
        "Cut and describe the songs of {wildcards.shard}"
    shell:
        "logged {log} ostinato segments --params {params.section:q} --songs {input.songs} --listened {input.listened} --out {output}"


rule manifests:
    input:
        segments=expand("results/dataset/segments/{shard}", shard=SHARDS),
        duplicates="results/corpus/duplicates.jsonl",
        code=sources("manifests"),
    output:
        # update: not removed beforehand, since the codec would count as stale without what it was fitted on, should a checkpoint be reached meanwhile
        update(expand("results/dataset/manifests/{split}/data.jsonl.gz", split=["train", "valid", "test"])),
    log:
        "results/logs/manifests.log",
    benchmark:
        "results/benchmarks/manifests.tsv"
    message:
        "Write audiocraft's manifests"
    shell:
        "logged {log} ostinato manifests --segments {input.segments} --duplicates {input.duplicates} --out results/dataset/manifests"
