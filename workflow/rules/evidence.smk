# What a sceptic asks for beside the demo (`make evidence`): more trainings, a control on shuffled prompts, more seeds. Not part of `all`.
# tee outlives Ctrl-C, so that the last words are kept.
rule repeats:
    input:
        tuned="results/models/tuned/summary.json",
        init="results/models/base/state_dict.bin",
        codec="results/codec/compression_state_dict.bin",
        contents=gathered,
        codes=AFTER,
        code=sources("train"),
    output:
        expand("results/evidence/models/{name}/{file}", name=REPEATS, file=["state_dict.bin", "events.jsonl", "summary.json"]),
    log:
        "results/logs/evidence/repeats.log",
    benchmark:
        "results/benchmarks/evidence/repeats.tsv"
    priority: 1
    retries: 0  # the launcher knows what is worth another try
    threads: min(PARAMS.train.launch.at_once, len(REPEATS)) * PARAMS.train.tune.threads
    resources:
        launch=launch,
        again=again("repeats"),
    params:
        section=shared(sections.training),
        model=section("model"),
        plans=lambda wildcards, input: [input.tuned] * len(REPEATS),
        seeds=lambda wildcards: [*PARAMS.evidence.train_seeds, PARAMS.train.seed],
        names=REPEATS,
        models=[EVIDENCE[name] for name in REPEATS],
    message:
        "Fine-tune again as the best run was, with other seeds, and a control on shuffled prompts"
    shell:
        "ostinato train --name {params.names} --seed {params.seeds} --shuffled control --params {params.section:q} --model {params.model:q} --plan {params.plans} "
        "--launch {resources.launch:q} {resources.again} --codec results/codec --codes {input.codes} --init results/models/base "
        "--runs results/runs --out {params.models} 2>&1 | tee -i {log}"


rule evidence_demos:
    input:
        model=lambda wildcards: f"{EVIDENCE[wildcards.learner]}/state_dict.bin",
        after=AFTER,
        prompts=PROMPTS,
        code=sources("demos"),
    output:
        directory("results/evidence/demos/{learner}"),
    log:
        "results/logs/evidence/{learner}.log",
    benchmark:
        "results/benchmarks/evidence/{learner}.tsv"
    params:
        section=shared(sections.evidence_demos),
        model=subpath(input.model, parent=True),
    message:
        "Generate the demos of {wildcards.learner} with all seeds"
    shell:
        "logged {log} ostinato demos --params {params.section:q} --model {params.model} --which {wildcards.learner} --out {output}"


use rule reference as evidence_reference with:
    output:
        directory("results/evidence/demos/{player}"),
    log:
        "results/logs/evidence/{player}.log",
    benchmark:
        "results/benchmarks/evidence/{player}.tsv"
    params:
        section=shared(sections.evidence_demos),
        etudes=shared(sections.corpus),
        player=lambda wildcards: PLAYERS[wildcards.player],


use rule judge as evidence_judge with:
    input:
        demos=expand("results/evidence/demos/{which}", which=[*EVIDENCE, *PLAYERS]),
        contents=gathered,
        after=AFTER,
        manifests=ancient(expand("results/dataset/manifests/{split}/data.jsonl.gz", split=["train", "test"])),
        ears=weights("judge", "labeller", "instruments", "beats"),
        code=sources("judge"),
    output:
        scores="results/evidence/scores.json",
        judgements="results/evidence/judgements.json",
    log:
        "results/logs/evidence/judge.log",
    benchmark:
        "results/benchmarks/evidence/judge.tsv"


# What the run cost is on the demo's page: it is of the demo.
use rule page as evidence_page with:
    input:
        after=[AFTER, AFTER_MIDI],
        scores="results/evidence/scores.json",
        judgements="results/evidence/judgements.json",
        demos=expand("results/evidence/demos/{which}", which=[*EVIDENCE, *PLAYERS]),
        models=expand("{folder}/events.jsonl", folder=EVIDENCE.values()),
        set_aside="results/corpus/set_aside.tsv",
        segments=expand("results/dataset/segments/{shard}", shard=SHARDS),
        midi_models=expand("results/midi/models/{name}/events.jsonl", name=MIDI_MODELS),
        midi_scores="results/evidence/midi/scores.json",
        midi_judgements="results/evidence/midi/judgements.json",
        midi_demos="results/evidence/midi/demos",
        midi_set_aside="results/midi/set_aside.tsv",
        code=sources("report"),
        templates=glob("src/ostinato/report/*.j2"),
    output:
        "results/evidence/index.html",
    log:
        "results/logs/evidence/report.log",
    benchmark:
        "results/benchmarks/evidence/report.tsv"
    params:
        section=section("report"),
        models=list(EVIDENCE.values()),
        midi_models=expand("results/midi/models/{name}", name=MIDI_MODELS),
        cost=[],
    message:
        "Write the page of the evidence"


# The demo's revision with the evidence beside its scores: its own demos stay where they are, for there are many.
rule evidence_track:
    input:
        after=[AFTER, AFTER_MIDI],
        models=expand("results/models/{name}/events.jsonl", name=MODELS) + expand("results/evidence/models/{name}/events.jsonl", name=REPEATS),
        scores="results/scores.json",
        demos=expand("results/demos/{which}", which=DEMOS),
        midi_models=expand("results/midi/models/{name}/events.jsonl", name=[*PRETRAINED, *MIDI_MODELS]),
        midi_scores="results/midi/scores.json",
        midi_demos="results/midi/demos",
        evidence="results/evidence/scores.json",
        evidence_midi="results/evidence/midi/scores.json",
        code=sources("track"),
    output:
        "results/evidence/tracked.json",
    log:
        "results/logs/evidence/track.log",
    benchmark:
        "results/benchmarks/evidence/track.tsv"
    localrule: True
    params:
        section=section("track"),
        midi_models=expand("results/midi/models/{name}", name=[*PRETRAINED, *MIDI_MODELS]),
        models=expand("results/models/{name}", name=MODELS) + expand("results/evidence/models/{name}", name=REPEATS),
    message:
        "Import the evidence into MLflow"
    shell:
        "logged {log} ostinato track --params {params.section:q} --models {params.models} --scores {input.scores} --demos {input.demos} "
        "--midi-models {params.midi_models:q} --midi-scores {input.midi_scores} --midi-demos {input.midi_demos} "
        "--evidence-scores {input.evidence} --evidence-midi-scores {input.evidence_midi} --stamp {output}"
