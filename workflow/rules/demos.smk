rule generate:
    input:
        model=branch(lambda wildcards: wildcards.which == "before", "results/models/base/state_dict.bin", "results/models/tuned/state_dict.bin"),
        after=AFTER,
        prompts=PROMPTS,
        code=sources("demos"),
    output:
        directory("results/demos/{which}"),
    log:
        "results/logs/demos/{which}.log",
    benchmark:
        "results/benchmarks/demos/{which}.tsv"
    params:
        section=section("demos"),
        model=subpath(input.model, parent=True),
    message:
        "Generate the demos {wildcards.which} fine-tuning"
    shell:
        "logged {log} ostinato demos --params {params.section:q} --model {params.model} --which {wildcards.which} --out {output}"


rule reference:
    input:
        codec="results/codec/compression_state_dict.bin",
        prompts=PROMPTS,
        code=sources("reference"),
    output:
        directory("results/demos/{player}"),
    log:
        "results/logs/demos/{player}.log",
    benchmark:
        "results/benchmarks/demos/{player}.tsv"
    params:
        section=section("demos"),
        etudes=shared(sections.corpus),
        player=lambda wildcards: PLAYERS[wildcards.player],
    message:
        "Play the prompts truly ({wildcards.player}) and pass them through the codec"
    shell:
        "logged {log} ostinato reference --params {params.section:q} --etudes {params.etudes:q} --player {params.player} --codec results/codec --out {output}"
