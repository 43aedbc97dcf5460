rule codec:
    input:
        manifest="results/dataset/manifests/train/data.jsonl.gz",
        code=sources("codec"),
    output:
        "results/codec/compression_state_dict.bin",
    log:
        "results/logs/codec.log",
    benchmark:
        "results/benchmarks/codec.tsv"
    params:
        section=section("codec"),
    message:
        "Fit or fetch the codec"
    shell:
        "logged {log} ostinato codec --params {params.section:q} --manifest {input.manifest} --out results/codec"


rule codes:
    input:
        codec="results/codec/compression_state_dict.bin",
        segments="results/dataset/segments/{shard}",
        code=sources("codes"),
    output:
        codes="results/codes/{shard}.npy",
        index="results/codes/{shard}.jsonl",
    log:
        "results/logs/codes/{shard}.log",
    benchmark:
        "results/benchmarks/codes/{shard}.tsv"
    message:
        "Encode the segments of {wildcards.shard}"
    shell:
        "logged {log} ostinato codes --codec results/codec --segments {input.segments} --out {output.codes}"
