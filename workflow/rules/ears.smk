# The networks that listen, from nothing: snakemake --profile cluster/local ears. Ostinato comes with trained ones; with listen.ears: results/ears
# these take their place.
rule drills:
    input:
        code=sources("drills"),
    output:
        temp(directory("results/ears/drills/{ear}")),
    log:
        "results/logs/ears/drills-{ear}.log",
    benchmark:
        "results/benchmarks/ears/drills-{ear}.tsv"
    threads: 8
    params:
        drills=lambda wildcards: as_json(getattr(PARAMS.ears, wildcards.ear).drills),
    message:
        "Render the music that trains the {wildcards.ear}"
    shell:
        "OMP_NUM_THREADS=1 logged {log} ostinato drills --ear {wildcards.ear} --params {params.drills:q} --out {output}"


rule ear:
    input:
        drills="results/ears/drills/{ear}",
        code=sources("ear"),
    output:
        "results/ears/{ear}.safetensors",
        "results/ears/{ear}/events.jsonl",
        "results/ears/{ear}/summary.json",
    log:
        "results/logs/ears/{ear}.log",
    benchmark:
        "results/benchmarks/ears/{ear}.tsv"
    retries: 0
    threads: lambda wildcards: getattr(PARAMS.ears, wildcards.ear).plan.threads
    resources:
        launch=launch,
        again=again("ear"),
    params:
        section=shared(sections.training_of_ears),
        plan=lambda wildcards: as_json(getattr(PARAMS.ears, wildcards.ear).plan),
    message:
        "Train the {wildcards.ear}"
    shell:
        "ostinato ear --ear {wildcards.ear} --params {params.section:q} --plan {params.plan:q} --launch {resources.launch:q} {resources.again} "
        "--drills {input.drills} --runs results/runs --out results/ears 2>&1 | tee -i {log}"


rule card:
    input:
        ears=expand("results/ears/{ear}.safetensors", ear=EARS),
        summaries=expand("results/ears/{ear}/summary.json", ear=EARS),
        code=sources("card"),
        template="src/ostinato/listen/card.md.j2",
    output:
        "results/ears/card.md",
        "results/ears/scores.json",
    log:
        "results/logs/ears/card.log",
    benchmark:
        "results/benchmarks/ears/card.tsv"
    threads: 8
    params:
        section=section("ears"),
        listen=section("listen"),
    message:
        "Evaluate the ears and write their card"
    shell:
        "OMP_NUM_THREADS=1 logged {log} ostinato card --params {params.section:q} --listen {params.listen:q} --ears results/ears --out results/ears/card.md --scores results/ears/scores.json"


rule track_ears:
    input:
        events=expand("results/ears/{ear}/events.jsonl", ear=EARS),
        scores="results/ears/scores.json",
        code=sources("track"),
    output:
        "results/ears/tracked.json",
    log:
        "results/logs/ears/track.log",
    benchmark:
        "results/benchmarks/ears/track.tsv"
    params:
        section=section("track"),
        models=expand("results/ears/{ear}", ear=EARS),
    message:
        "Import the ears' training and scores into MLflow"
    shell:
        "logged {log} ostinato track --params {params.section:q} --models {params.models} --scores {input.scores} --stamp {output}"
