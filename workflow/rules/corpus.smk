rule etudes:
    input:
        code=sources("etudes"),
    output:
        directory("results/corpus/etudes"),
    log:
        "results/logs/etudes.log",
    benchmark:
        "results/benchmarks/etudes.tsv"
    threads: 8
    params:
        section=section("corpus"),
    message:
        "Render the embedded corpus"
    shell:
        "OMP_NUM_THREADS=1 logged {log} ostinato etudes --params {params.section:q} --out {output}"


rule check:
    input:
        songs=lambda wildcards: inputs.watched(SONGS) if FOLDER else "results/corpus/etudes",
        code=sources("check"),
    output:
        shards=expand("results/corpus/shards/{shard}.jsonl", shard=SHARDS),
        set_aside="results/corpus/set_aside.tsv",
    log:
        "results/logs/check.log",
    benchmark:
        "results/benchmarks/check.tsv"
    priority: 2  # short, and wants all cores: before a long training takes one
    threads: 8
    params:
        section=section("corpus"),
        folder=lambda wildcards: FOLDER or "results/corpus/etudes/audio",
        others=lambda wildcards: inputs.state_of_others(SONGS),
    message:
        "Decode every recording, set aside what cannot be used"
    shell:
        "OMP_NUM_THREADS=1 logged {log} ostinato check --params {params.section:q} --folder={params.folder:q} --out results/corpus"
