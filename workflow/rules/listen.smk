rule listen:
    input:
        songs="results/corpus/shards/{shard}.jsonl",
        ears=weights("labeller", "instruments", "beats"),
        code=sources("listen"),
    output:
        directory("results/listen/{shard}"),
    log:
        "results/logs/listen/{shard}.log",
    benchmark:
        "results/benchmarks/listen/{shard}.tsv"
    params:
        section=section("listen"),
    message:
        "Hear beats, chords, key and sections of {wildcards.shard}"
    shell:
        "logged {log} ostinato listen --params {params.section:q} --songs {input.songs} --out {output}"
