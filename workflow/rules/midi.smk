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


if not MIDI_FOLDER:

    rule list_midi:
        input:
            midi="results/midi/scores",
            code=sources("list-midi"),
        output:
            expand(MIDI_LIST, shard=[*MIDI_SHARDS, "tables"]),
        log:
            "results/logs/midi/list.log",
        benchmark:
            "results/benchmarks/midi/list.tsv"
        message:
            "Say which MIDI files each shard has"
        shell:
            "logged {log} ostinato list-midi --folder results/midi/scores --out {output}"


rule check_midi:
    input:
        files=MIDI_LIST,
        code=sources("check-midi"),
    output:
        files="results/midi/shards/{shard}.jsonl",
        words="results/midi/shards/{shard}.npy",
        set_aside="results/midi/shards/{shard}.tsv",
    log:
        "results/logs/midi/check/{shard}.log",
    benchmark:
        "results/benchmarks/midi/check/{shard}.tsv"
    threads: 4
    params:
        section=midi("pieces"),
        words=shared(sections.midi_words),
    message:
        "Read the MIDI files of {wildcards.shard}, turn them into words, set aside what cannot be used"
    shell:
        "OMP_NUM_THREADS=1 logged {log} ostinato check-midi --params {params.section:q} --words {params.words:q} --files {input.files} --jobs {threads} --out {output.files}"


rule pieces:
    input:
        files=expand("results/midi/shards/{shard}.jsonl", shard=MIDI_SHARDS),
        set_aside=expand("results/midi/shards/{shard}.tsv", shard=MIDI_SHARDS),
        tables=expand(MIDI_LIST, shard="tables"),
        code=sources("pieces"),
    output:
        pieces="results/midi/pieces.jsonl",
        set_aside="results/midi/set_aside.tsv",
    log:
        "results/logs/midi/pieces.log",
    benchmark:
        "results/benchmarks/midi/pieces.tsv"
    params:
        section=midi("pieces"),
        words=shared(sections.midi_words),
        folder=lambda wildcards: MIDI_FOLDER or "results/midi/scores",
    message:
        "Find the pieces that are there twice, split by composition"
    shell:
        "logged {log} ostinato pieces --params {params.section:q} --words {params.words:q} --folder={params.folder:q} --tables {input.tables} --files {input.files} "
        "--out results/midi"


checkpoint tokenizer:
    input:
        pieces="results/midi/pieces.jsonl",
        files=expand("results/midi/shards/{shard}.jsonl", shard=MIDI_SHARDS),
        words=expand("results/midi/shards/{shard}.npy", shard=MIDI_SHARDS),
        code=sources("tokenizer"),
    output:
        index="results/midi/tokens/words.jsonl",
    log:
        "results/logs/midi/tokenizer.log",
    benchmark:
        "results/benchmarks/midi/tokenizer.tsv"
    params:
        section=midi("tokens"),
    message:
        "Make the vocabulary, bring the words of all shards together"
    shell:
        "logged {log} ostinato tokenizer --params {params.section:q} --pieces {input.pieces} --files {input.files} --out results/midi/tokens"


rule pretrain:
    input:
        contents=gathered_words,
        words=AFTER_MIDI,
        code=sources("midi-train"),
    output:
        expand("results/midi/models/{name}/{file}", name=PRETRAINED, file=MIDI_MODEL),
    log:
        "results/logs/midi/pretrain.log",
    benchmark:
        "results/benchmarks/midi/pretrain.tsv"
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
        "--plan {params.plans:q} --launch {resources.launch:q} {resources.again} --tokens results/midi/tokens --shards results/midi/shards --runs results/runs --out {params.models} "
        "2>&1 | tee -i {log}"


rule best_midi:
    input:
        after=AFTER_MIDI,
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
        contents=gathered_words,
        words=AFTER_MIDI,
        code=sources("midi-train"),
    output:
        expand("results/midi/models/{{composer}}/{file}", file=MIDI_MODEL),
    log:
        "results/logs/midi/{composer}.log",
    benchmark:
        "results/benchmarks/midi/{composer}.tsv"
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
        "--augmentation {params.augmentation:q} --plan {params.plan:q} --launch {resources.launch:q} {resources.again} --tokens results/midi/tokens --shards results/midi/shards "
        "--init results/midi/models/pretrained --runs results/runs --out results/midi/models/{wildcards.composer:q} 2>&1 | tee -i {log:q}"


rule compositions:
    input:
        models=expand("results/midi/models/{name}/state_dict.bin", name=MIDI_MODELS),
        contents=gathered_words,
        after=AFTER_MIDI,
        pieces=ancient("results/midi/pieces.jsonl"),
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
        contents=gathered_words,
        after=AFTER_MIDI,
        pieces=ancient("results/midi/pieces.jsonl"),
        demos="results/midi/demos",
        code=sources("judge-midi"),
    output:
        scores="results/midi/scores.json",
        judgements="results/midi/judgements.json",
    log:
        "results/logs/midi/judge.log",
    benchmark:
        "results/benchmarks/midi/judge.tsv"
    threads: 8 if MIDI_FOLDER else 1  # scores of the wheel are encoded before other processes would have started
    params:
        section=section("judge"),
        augmentation=midi("augmentation"),
    message:
        "Measure the compositions, and how well the model predicts held-out pieces"
    shell:
        "OMP_NUM_THREADS=1 logged {log} ostinato judge-midi --params {params.section:q} --augmentation {params.augmentation:q} --model results/midi/models/pretrained "
        "--pieces {input.pieces} --jobs {threads} --demos {input.demos} --scores {output.scores} --judgements {output.judgements}"


# Not part of `all`: as much as figures should rest on, by the pretrained model, for `make evidence`.
rule evidence_compositions:
    input:
        model="results/midi/models/pretrained/state_dict.bin",
        contents=gathered_words,
        after=AFTER_MIDI,
        pieces=ancient("results/midi/pieces.jsonl"),
        code=sources("compositions"),
    output:
        directory("results/evidence/midi/demos"),
    log:
        "results/logs/evidence/compositions.log",
    benchmark:
        "results/benchmarks/evidence/compositions.tsv"
    params:
        section=midi("demos"),
        evidence=midi("evidence"),
    message:
        "Compose samples and settings of melodies for the judge"
    shell:
        "logged {log} ostinato compositions --params {params.section:q} --evidence {params.evidence:q} --models results/midi/models/pretrained --pieces {input.pieces} --out {output}"


use rule judge_midi as evidence_judge_midi with:
    input:
        model="results/midi/models/pretrained/state_dict.bin",
        contents=gathered_words,
        after=AFTER_MIDI,
        pieces=ancient("results/midi/pieces.jsonl"),
        demos="results/evidence/midi/demos",
        code=sources("judge-midi"),
    output:
        scores="results/evidence/midi/scores.json",
        judgements="results/evidence/midi/judgements.json",
    log:
        "results/logs/evidence/judge_midi.log",
    benchmark:
        "results/benchmarks/evidence/judge_midi.tsv"
    message:
        "Measure the samples and settings"
