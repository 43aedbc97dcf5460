rule judge:
    input:
        demos=expand("results/demos/{which}", which=DEMOS),
        contents=gathered,
        after=AFTER,
        manifests=ancient(expand("results/dataset/manifests/{split}/data.jsonl.gz", split=["train", "test"])),
        ears=weights("judge", "labeller", "instruments", "beats"),
        code=sources("judge"),
    output:
        scores="results/scores.json",
        judgements="results/judgements.json",
    log:
        "results/logs/judge.log",
    benchmark:
        "results/benchmarks/judge.tsv"
    threads: 8
    params:
        section=section("judge"),
        listen=section("listen"),
    message:
        "Hear which chords the demos play and compare them with those asked"
    shell:
        "OMP_NUM_THREADS=1 logged {log} ostinato judge --jobs {threads} --params {params.section:q} --listen {params.listen:q} --demos {input.demos} "
        "--manifests results/dataset/manifests --codes {input.after} --scores {output.scores} --judgements {output.judgements}"


rule track:
    input:
        after=[AFTER, AFTER_MIDI],
        models=expand("results/models/{name}/events.jsonl", name=MODELS),
        scores="results/scores.json",
        demos=expand("results/demos/{which}", which=DEMOS),
        midi_models=expand("results/midi/models/{name}/events.jsonl", name=[*PRETRAINED, *MIDI_MODELS]),
        midi_scores="results/midi/scores.json",
        midi_demos="results/midi/demos",
        code=sources("track"),
    output:
        "results/tracked.json",
    log:
        "results/logs/track.log",
    benchmark:
        "results/benchmarks/track.tsv"
    params:
        section=section("track"),
        midi_models=expand("results/midi/models/{name}", name=[*PRETRAINED, *MIDI_MODELS]),
        models=expand("results/models/{name}", name=MODELS),
    message:
        "Import runs, scores and demos into MLflow"
    shell:
        "logged {log} ostinato track --params {params.section:q} --models {params.models} --scores {input.scores} "
        "--demos {input.demos} --midi-models {params.midi_models:q} --midi-scores {input.midi_scores} --midi-demos {input.midi_demos} --stamp {output}"


rule cost:
    input:
        after=[AFTER, AFTER_MIDI],
        scores="results/scores.json",
        judgements="results/judgements.json",
        midi_scores="results/midi/scores.json",
        models=expand("results/models/{name}/summary.json", name=MODELS),
        midi_models=expand("results/midi/models/{name}/summary.json", name=[*PRETRAINED, *MIDI_MODELS]),
        code=sources("cost"),
    output:
        "results/cluster.csv",
    log:
        "results/logs/cost.log",
    benchmark:
        "results/benchmarks/cost.tsv"
    params:
        # all but those that launch a training, which is counted by itself, and those that may run beside this one or after it, as all evidence does
        rules=lambda wildcards: [
            f"{rule.name}={rule.benchmark}"
            for rule in workflow.rules
            if rule.benchmark and "launch" not in rule.resources and rule.name not in ("track", "cost", "page") and not rule.name.startswith("evidence_")
        ],
        models=expand("results/models/{name}", name=MODELS) + expand("results/ears/{ear}", ear=EARS),
        midi_models=expand("results/midi/models/{name}", name=[*PRETRAINED, *MIDI_MODELS]),
    message:
        "Count what the run cost"
    shell:
        "logged {log} ostinato cost --benchmarks results/benchmarks --rules {params.rules:q} --logs results/logs/slurm "
        "--models {params.models} {params.midi_models:q} --out {output}"


rule page:
    input:
        after=[AFTER, AFTER_MIDI],
        scores="results/scores.json",
        judgements="results/judgements.json",
        demos=expand("results/demos/{which}", which=DEMOS),
        models=expand("results/models/{name}/events.jsonl", name=MODELS),
        set_aside="results/corpus/set_aside.tsv",
        segments=expand("results/dataset/segments/{shard}", shard=SHARDS),
        midi_models=expand("results/midi/models/{name}/events.jsonl", name=MIDI_MODELS),
        midi_scores="results/midi/scores.json",
        midi_judgements="results/midi/judgements.json",
        midi_demos="results/midi/demos",
        midi_set_aside="results/midi/set_aside.tsv",
        cost="results/cluster.csv",
        code=sources("report"),
        templates=glob("src/ostinato/report/*.j2"),
    output:
        "results/report/index.html",
    log:
        "results/logs/report.log",
    benchmark:
        "results/benchmarks/report.tsv"
    params:
        section=section("report"),
        models=expand("results/models/{name}", name=MODELS),
        midi_models=expand("results/midi/models/{name}", name=MIDI_MODELS),
        cost=lambda wildcards, input: ["--cost", input.cost],
    message:
        "Write the page"
    shell:
        "logged {log} ostinato report --params {params.section:q} --scores {input.scores} --judgements {input.judgements} "
        "--demos {input.demos} --models {params.models} --set-aside {input.set_aside} --segments {input.segments} "
        "--midi-scores {input.midi_scores} --midi-judgements {input.midi_judgements} --midi-demos {input.midi_demos} --midi-models {params.midi_models:q} "
        "--midi-set-aside {input.midi_set_aside} {params.cost} --out {output}"
