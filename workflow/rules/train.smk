# The only rules whose output is shown while they run: training is what one waits for. tee outlives Ctrl-C, so that the last words are kept.
rule base:
    input:
        codec="results/codec/compression_state_dict.bin",
        contents=gathered,
        codes=AFTER,
        pretrained=inputs.pretrained(PARAMS.model.pretrained),
        code=sources("train"),
    output:
        expand("results/models/base/{file}", file=["state_dict.bin", "events.jsonl", "summary.json"]),
    log:
        "results/logs/train/base.log",
    benchmark:
        "results/benchmarks/train/base.tsv"
    priority: 1  # the longest way through the graph; what can wait, waits
    retries: 0  # the launcher knows what is worth another try
    threads: PARAMS.train.base.threads
    resources:
        launch=launch,
        again=again("base"),
    params:
        section=shared(sections.training),
        model=section("model"),
        plan=lambda wildcards: as_json(PARAMS.train.base),
    message:
        "Train the base model: music by instrument, no chords; a pretrained one is taken as it is"
    shell:
        "ostinato train --name base --params {params.section:q} --model {params.model:q} --plan {params.plan:q} --launch {resources.launch:q} {resources.again} "
        "--codec results/codec --codes {input.codes} --runs results/runs --out results/models/base 2>&1 | tee -i {log}"


rule tune:
    input:
        init="results/models/base/state_dict.bin",
        codec="results/codec/compression_state_dict.bin",
        contents=gathered,
        codes=AFTER,
        code=sources("train"),
    output:
        expand("results/models/{name}/{file}", name=TUNED, file=["state_dict.bin", "events.jsonl", "summary.json"]),
    log:
        "results/logs/train/tune.log",
    benchmark:
        "results/benchmarks/train/tune.tsv"
    priority: 1  # the longest way through the graph; what can wait, waits
    retries: 0  # the launcher knows what is worth another try
    threads: side_by_side(PLANS)
    resources:
        launch=launch,
        again=again("tune"),
    params:
        section=shared(sections.training),
        model=section("model"),
        plans=lambda wildcards: list(map(as_json, PLANS)),
        names=TUNED,
        models=expand("results/models/{name}", name=TUNED),
    message:
        "Fine-tune on chord prompts: the runs of the sweep"
    shell:
        "ostinato train --name {params.names} --params {params.section:q} --model {params.model:q} --plan {params.plans:q} "
        "--launch {resources.launch:q} {resources.again} --codec results/codec --codes {input.codes} --init results/models/base "
        "--runs results/runs --out {params.models} 2>&1 | tee -i {log}"


rule best:
    input:
        after=AFTER,
        models=expand("results/models/{name}/summary.json", name=TUNED),
        weights=expand("results/models/{name}/state_dict.bin", name=TUNED),
        code=sources("best"),
    output:
        expand("results/models/tuned/{file}", file=["state_dict.bin", "events.jsonl", "summary.json"]),
    log:
        "results/logs/best.log",
    benchmark:
        "results/benchmarks/best.tsv"
    params:
        models=expand("results/models/{name}", name=TUNED),
    message:
        "Take the run of the sweep that is best on validation"
    shell:
        "logged {log} ostinato best --models {params.models} --out results/models/tuned"
