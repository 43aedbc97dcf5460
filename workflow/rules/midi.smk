# The MIDI track: from scores to a model that composes. Nothing here waits for the audio track, and it uses the same loop, launcher and page.
rule scores:
    input:
        code=sources("scores-to-midi"),
    output:
        directory("results/midi/scores"),
    log:
        "results/logs/midi/scores.log",
    benchmark:
        "results/benchmarks/midi/scores.tsv"
    threads: 8
    params:
        section=midi("pieces"),
    message:
        "Convert scores of the music21 wheel to MIDI"
    shell:
        "OMP_NUM_THREADS=1 logged {log} ostinato scores-to-midi --params {params.section:q} --out {output}"


rule pieces:
    input:
        midi=lambda wildcards: inputs.watched(MIDI_FILES) if MIDI_FOLDER else "results/midi/scores",
        code=sources("pieces"),
    output:
        pieces="results/midi/pieces.jsonl",
        set_aside="results/midi/set_aside.tsv",
    log:
        "results/logs/midi/pieces.log",
    benchmark:
        "results/benchmarks/midi/pieces.tsv"
    threads: 8
    params:
        section=midi("pieces"),
        words=lambda wildcards: as_json(PARAMS.midi.tokens.model_dump(include={"pitches", "programs"})),
        folder=lambda wildcards: MIDI_FOLDER or "results/midi/scores",
        others=lambda wildcards: inputs.state_of_others(MIDI_FILES),
    message:
        "Read every MIDI file, set aside what cannot be used, split by composition"
    shell:
        "OMP_NUM_THREADS=1 logged {log} ostinato pieces --params {params.section:q} --words {params.words:q} --folder={params.folder:q} --out results/midi"


rule tokens:
    input:
        pieces="results/midi/pieces.jsonl",
        code=sources("tokens"),
    output:
        tokenizer="results/midi/tokens/tokenizer.json",
        words=expand("results/midi/tokens/{shard}.npy", shard=MIDI_SHARDS),
        index=expand("results/midi/tokens/{shard}.jsonl", shard=MIDI_SHARDS),
    log:
        "results/logs/midi/tokens.log",
    benchmark:
        "results/benchmarks/midi/tokens.tsv"
    threads: 8
    params:
        section=midi("tokens"),
        shards=len(MIDI_SHARDS),
    message:
        "Make the vocabulary and turn every piece into words"
    shell:
        "OMP_NUM_THREADS=1 logged {log} ostinato tokens --params {params.section:q} --shards {params.shards} --pieces {input.pieces} --out results/midi/tokens"


rule pretrain:
    input:
        tokenizer="results/midi/tokens/tokenizer.json",
        words=expand("results/midi/tokens/{shard}.npy", shard=MIDI_SHARDS),
        index=expand("results/midi/tokens/{shard}.jsonl", shard=MIDI_SHARDS),
        code=sources("midi-train"),
    output:
        expand("results/midi/models/{name}/{file}", name=PRETRAINED, file=MIDI_MODEL),
    log:
        "results/logs/midi/pretrain.log",
    benchmark:
        "results/benchmarks/midi/pretrain.tsv"
    priority: 1
    retries: 0
    threads: side_by_side(MIDI_PLANS)
    resources:
        launch=launch,
        again=again("pretrain"),
    params:
        section=shared(sections.midi_training),
        model=midi("model"),
        augmentation=midi("augmentation"),
        plans=lambda wildcards: list(map(as_json, MIDI_PLANS)),
        names=PRETRAINED,
        models=expand("results/midi/models/{name}", name=PRETRAINED),
    message:
        "Train the MIDI GPT on all pieces: the runs of its sweep"
    shell:
        "ostinato midi-train --name {params.names} --params {params.section:q} --model {params.model:q} --augmentation {params.augmentation:q} "
        "--plan {params.plans:q} --launch {resources.launch:q} {resources.again} --tokens results/midi/tokens --runs results/runs --out {params.models} "
        "2>&1 | tee -i {log}"


rule best_midi:
    input:
        models=expand("results/midi/models/{name}/summary.json", name=PRETRAINED),
        weights=expand("results/midi/models/{name}/state_dict.bin", name=PRETRAINED),
        code=sources("best"),
    output:
        expand("results/midi/models/pretrained/{file}", file=MIDI_MODEL),
    log:
        "results/logs/midi/best.log",
    benchmark:
        "results/benchmarks/midi/best.tsv"
    params:
        models=expand("results/midi/models/{name}", name=PRETRAINED),
    message:
        "Take the run of the sweep that is best on validation"
    shell:
        "logged {log} ostinato best --models {params.models} --out results/midi/models/pretrained"


rule finetune:
    input:
        init="results/midi/models/pretrained/state_dict.bin",
        tokenizer="results/midi/tokens/tokenizer.json",
        words=expand("results/midi/tokens/{shard}.npy", shard=MIDI_SHARDS),
        index=expand("results/midi/tokens/{shard}.jsonl", shard=MIDI_SHARDS),
        code=sources("midi-train"),
    output:
        expand("results/midi/models/{{composer}}/{file}", file=MIDI_MODEL),
    log:
        "results/logs/midi/{composer}.log",
    benchmark:
        "results/benchmarks/midi/{composer}.tsv"
    priority: 1
    retries: 0
    threads: PARAMS.midi.train.finetune.threads
    resources:
        launch=launch,
        again=again("finetune"),
    params:
        section=shared(sections.midi_training),
        model=midi("model"),
        augmentation=midi("augmentation"),
        plan=lambda wildcards: as_json(PARAMS.midi.train.finetune),
    message:
        "Fine-tune the MIDI GPT on {wildcards.composer}"
    shell:
        "ostinato midi-train --name {wildcards.composer:q} --composer {wildcards.composer:q} --params {params.section:q} --model {params.model:q} "
        "--augmentation {params.augmentation:q} --plan {params.plan:q} --launch {resources.launch:q} {resources.again} --tokens results/midi/tokens "
        "--init results/midi/models/pretrained --runs results/runs --out results/midi/models/{wildcards.composer:q} 2>&1 | tee -i {log:q}"


rule compositions:
    input:
        models=expand("results/midi/models/{name}/state_dict.bin", name=MIDI_MODELS),
        pieces="results/midi/pieces.jsonl",
        midi=lambda wildcards: [] if MIDI_FOLDER else "results/midi/scores",
        code=sources("compositions"),
    output:
        directory("results/midi/demos"),
    log:
        "results/logs/midi/compositions.log",
    benchmark:
        "results/benchmarks/midi/compositions.tsv"
    params:
        section=midi("demos"),
        models=expand("results/midi/models/{name}", name=MIDI_MODELS),
    message:
        "Compose what the page shows"
    shell:
        "logged {log} ostinato compositions --params {params.section:q} --models {params.models:q} --pieces {input.pieces} --out {output}"


rule judge_midi:
    input:
        model="results/midi/models/pretrained/state_dict.bin",
        pieces="results/midi/pieces.jsonl",
        midi=lambda wildcards: [] if MIDI_FOLDER else "results/midi/scores",
        demos="results/midi/demos",
        code=sources("judge-midi"),
    output:
        scores="results/midi/scores.json",
        judgements="results/midi/judgements.json",
    log:
        "results/logs/midi/judge.log",
    benchmark:
        "results/benchmarks/midi/judge.tsv"
    threads: 8
    params:
        section=section("judge"),
    message:
        "Measure the compositions, and how well the model predicts held-out pieces"
    shell:
        "OMP_NUM_THREADS=1 logged {log} ostinato judge-midi --params {params.section:q} --model results/midi/models/pretrained --pieces {input.pieces} "
        "--demos {input.demos} --scores {output.scores} --judgements {output.judgements}"
