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
        section=shared(sections.corpus),
    message:
        "Render the embedded corpus"
    shell:
        "OMP_NUM_THREADS=1 logged {log} ostinato etudes --params {params.section:q} --out {output}"


if not FOLDER:

    rule list:
        input:
            songs="results/corpus/etudes",
            code=sources("list"),
        output:
            expand(LIST, shard=SHARDS),
        log:
            "results/logs/list.log",
        benchmark:
            "results/benchmarks/list.tsv"
        message:
            "Say which songs each shard has"
        shell:
            "logged {log} ostinato list --folder results/corpus/etudes/audio --out {output}"


rule check:
    input:
        files=LIST,
        code=sources("check"),
    output:
        songs="results/corpus/shards/{shard}.jsonl",
        set_aside="results/corpus/shards/{shard}.tsv",
    log:
        "results/logs/check/{shard}.log",
    benchmark:
        "results/benchmarks/check/{shard}.tsv"
    priority: 2  # short: before a long training takes a core
    threads: 4
    params:
        section=shared(sections.corpus),
    message:
        "Decode the recordings of {wildcards.shard}, set aside what cannot be used"
    shell:
        "OMP_NUM_THREADS=1 logged {log} ostinato check --params {params.section:q} --files {input.files} --jobs {threads} --out {output.songs}"


rule songs:
    input:
        songs=expand("results/corpus/shards/{shard}.jsonl", shard=SHARDS),
        set_aside=expand("results/corpus/shards/{shard}.tsv", shard=SHARDS),
        code=sources("songs"),
    output:
        duplicates="results/corpus/duplicates.jsonl",
        set_aside="results/corpus/set_aside.tsv",
    log:
        "results/logs/songs.log",
    benchmark:
        "results/benchmarks/songs.tsv"
    params:
        section=shared(sections.corpus),
    message:
        "Find the songs that two shards have"
    shell:
        "logged {log} ostinato songs --params {params.section:q} --songs {input.songs} --duplicates {output.duplicates} --set-aside {output.set_aside}"
