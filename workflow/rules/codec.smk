# What the codec is fitted on: nothing, where it is fetched. On a folder it is fitted once: a song more there must not change what every code says. To fit it anew: -R codec.
FITTED_ON = "results/dataset/manifests/train/data.jsonl.gz" if PARAMS.codec.kind == "spectral" else []


rule codec:
    input:
        manifest=ancient(FITTED_ON) if FOLDER and FITTED_ON else FITTED_ON,
        code=sources("codec"),
    output:
        "results/codec/compression_state_dict.bin",
    log:
        "results/logs/codec.log",
    benchmark:
        "results/benchmarks/codec.tsv"
    params:
        section=section("codec"),
        manifest=f"--manifest {FITTED_ON}" if FITTED_ON else "",
        folder=lambda wildcards: FOLDER if FITTED_ON else None,
    message:
        "Fit or fetch the codec"
    shell:
        "logged {log} ostinato codec --params {params.section:q} {params.manifest} --out results/codec"


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


checkpoint gather:
    input:
        codes=expand("results/codes/{shard}.npy", shard=SHARDS),
        index=expand("results/codes/{shard}.jsonl", shard=SHARDS),
        duplicates="results/corpus/duplicates.jsonl",
        manifests=rules.manifests.output,  # nothing that others need may be under way when the graph is asked for anew
        code=sources("gather"),
    output:
        table="results/codes/segments.npz",
    log:
        "results/logs/gather.log",
    benchmark:
        "results/benchmarks/gather.tsv"
    message:
        "Bring the codes of all shards together"
    shell:
        "logged {log} ostinato gather --codes {input.codes} --duplicates {input.duplicates}"
