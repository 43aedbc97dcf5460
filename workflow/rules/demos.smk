rule generate:
    input:
        model=branch(lambda wildcards: wildcards.which == "before", "results/models/base/state_dict.bin", "results/models/tuned/state_dict.bin"),
        after=AFTER,
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


rule ceiling:
    input:
        codec="results/codec/compression_state_dict.bin",
        code=sources("ceiling"),
    output:
        directory("results/demos/ceiling"),
    log:
        "results/logs/demos/ceiling.log",
    benchmark:
        "results/benchmarks/demos/ceiling.tsv"
    params:
        section=section("demos"),
        etudes=shared(sections.corpus),
    message:
        "Render the prompts truly and pass them through the codec"
    shell:
        "logged {log} ostinato ceiling --params {params.section:q} --etudes {params.etudes:q} --codec results/codec --out {output}"
