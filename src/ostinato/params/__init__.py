"""params.yaml as types: every knob with its unit, range and meaning. No default lives here; params.yaml holds them all.

`load` checks a whole file, `section` one part of it. Errors are one line per finding: which key, what was found, what was expected.
`python -m ostinato.params` writes the JSON schema for editors to workflow/schemas/params.schema.json.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from ostinato.files import UserError
from ostinato.params.blocks import Launch, Loop, Method, NotNegative, Plan, Positive, Seconds, Section, Seed, Shards, Share, Split, Sweep
from ostinato.params.demos import Demos
from ostinato.params.ears import Ears
from ostinato.params.midi import Midi


class ParamsError(UserError):
    """A wrong key, type or range in the parameters."""


class Etudes(Section):
    """The embedded corpus, rendered when `corpus.folder` is null."""

    songs: Positive = Field(description="number of songs")
    min_seconds: Seconds = Field(description="shortest song, seconds")
    max_seconds: Seconds = Field(description="longest song, seconds")
    seed: Seed = Field(description="seed of the songs")
    soundfont: str | None = Field(description="path of a SoundFont; null: the TimGM6mb that pretty_midi brings")
    metres: list[Literal["2/4", "3/4", "4/4", "5/4", "7/4", "6/8"]] = Field(min_length=1, description="metres that songs take turns in")


class Corpus(Section):
    """Where the music comes from and what is taken of it."""

    folder: str | None = Field(description="folder of recordings, of any format that FFmpeg reads, searched recursively; null: the embedded corpus")
    min_seconds: Seconds = Field(description="shorter recordings are set aside, seconds")
    silence_db: Annotated[float, Field(lt=0)] = Field(description="recordings whose loudest second stays below this RMS level are silent, dBFS")
    max_damage: Share = Field(description="recordings of which a larger share cannot be decoded, or is missing at the end, are set aside")
    shards: Shards = Field(description="number of shards; songs go to them by a hash")
    split: Split
    etudes: Etudes


class Listen(Section):
    """What is heard in a recording."""

    chord_switch: NotNegative = Field(description="cost of a change of chord, nats")
    vocabulary: Literal["majmin", "sevenths", "full"] = Field(description="chord qualities among which is decided")
    ears: str | None = Field(description="folder with the networks that listen; null: those that come with Ostinato; results/ears: trained anew")


class Segments(Section):
    """Cutting songs into training segments: the sum of these costs is minimised by dynamic programming."""

    min_seconds: Seconds = Field(description="shortest segment, seconds")
    max_seconds: Seconds = Field(description="longest segment, seconds")
    target_seconds: Seconds = Field(description="wished length, seconds")
    length_cost: NotNegative = Field(description="cost of a length that is e times longer or shorter than wished")
    no_section_cost: NotNegative = Field(description="cost of a cut that is no section border")
    phrase_bars: Positive = Field(description="bars of a phrase")
    off_phrase_cost: NotNegative = Field(description="cost of a cut that does not fall on a whole number of phrases within its section")
    off_bar_cost: NotNegative = Field(description="cost of a cut that does not fall on a downbeat")
    no_cadence_cost: NotNegative = Field(description="cost of a cut before which no phrase ends in a cadence")
    mid_chord_cost: NotNegative = Field(description="cost of a cut at which the chord does not change")
    skip_cost: NotNegative = Field(description="cost of each second left out")
    min_confidence: Share = Field(description="segments whose chords are heard with less confidence (0-1, mean over time) are left out")
    sample_rate: Positive = Field(description="rate of the written segments, Hz")

    @model_validator(mode="after")
    def _ordered(self) -> Segments:
        if not self.min_seconds <= self.target_seconds <= self.max_seconds:
            raise ValueError(f"expected min_seconds <= target_seconds <= max_seconds, got {self.min_seconds:g}, {self.target_seconds:g}, {self.max_seconds:g}")
        return self


class Codec(Section):
    """The audio tokenizer behind audiocraft's CompressionModel."""

    kind: Literal["spectral", "encodec"] = Field(description="spectral: fitted here; encodec: pretrained")
    pretrained: str | None = Field(description="for encodec: a name such as facebook/encodec_32khz, or a local folder in audiocraft's layout")
    codebooks: Annotated[int, Field(ge=1, le=16)] = Field(description="for spectral: residual codebooks")
    cardinality: Annotated[int, Field(ge=2, le=32767)] = Field(description="for spectral: entries per codebook")
    components: Positive = Field(description="for spectral: principal components of a frame")
    fit_seconds: Seconds = Field(description="for spectral: seconds of training audio the codebooks are fitted on")
    kmeans_iterations: Positive = Field(description="for spectral: Lloyd iterations per codebook")
    griffin_lim_iterations: Positive = Field(description="for spectral: phase reconstruction steps when decoding")
    seed: Seed

    @model_validator(mode="after")
    def _encodec_needs_weights(self) -> Codec:
        if self.kind == "encodec" and not self.pretrained:
            raise ValueError("kind encodec needs `pretrained`: a name or a local folder")
        return self


class Model(Section):
    """The language model: a pretrained MusicGen, or a fresh decoder of this size with the text encoder trained with it."""

    pretrained: str | None = Field(description="facebook/musicgen-small, -medium, -large, or a folder with those two files; null: a fresh model of this size")
    dim: Positive = Field(description="width of the transformer")
    layers: Positive = Field(description="number of layers")
    heads: Positive = Field(description="attention heads; must divide dim")
    hidden_scale: Positive = Field(description="feed-forward width over dim")
    dropout: Share
    text_dim: Positive = Field(description="width of the text encoder")
    text_layers: Annotated[int, Field(ge=0)] = Field(description="transformer layers of the text encoder")
    words: Positive = Field(description="hash buckets for words that are no chords")
    condition_dropout: Share = Field(description="share of examples trained without their prompt, for classifier-free guidance")

    @model_validator(mode="after")
    def _heads_divide(self) -> Model:
        if self.dim % self.heads:
            raise ValueError(f"heads must divide dim, got {self.heads} and {self.dim}")
        return self


class Training(Loop):
    """What all training runs of the language model share."""

    validation_seconds: Seconds = Field(description="longest validation example, seconds, whatever the plan's segment_seconds")
    method: Method


class Train(Training):
    """Training of the language model."""

    base: Plan
    tune: Plan
    launch: Launch


class AudioSweep(Sweep):
    """Values to try for the fine-tuning."""

    segment_seconds: list[Seconds]


class Judge(Section):
    """How obedience is measured."""

    permutations: Positive = Field(description="permutations of the prompts behind the chance level")
    confidence: Annotated[float, Field(gt=0, lt=1)] = Field(description="coverage of the intervals")
    min_share: Share = Field(description="least duration of an asked chord over its even share when borders are aligned")
    silence_db: Annotated[float, Field(lt=0)] = Field(description="frames below this level, relative to full scale, are silent, dB")
    clap: str | None = Field(description="folder of a CLAP model as transformers saves it; null: no CLAP score")
    seed: Seed


class Evidence(Section):
    """What `make evidence` makes more of than the demo."""

    train_seeds: list[Seed] = Field(description="seeds of further fine-tunings, from the same base and with the plan that was best")
    demo_seeds: list[Seed] = Field(min_length=1, description="seeds of its demos")


class Report(Section):
    """The page."""

    title: str
    players_per_prompt: Positive = Field(description="seeds shown per prompt")


class Track(Section):
    """The MLflow import."""

    uri: str = Field(description="MLflow tracking store")
    experiment: str
    live_seconds: NotNegative = Field(description="seconds between two looks of `ostinato watch` at the runs that train; 0: they come in when all is done")


class Params(Section):
    """The whole of params.yaml."""

    corpus: Corpus
    listen: Listen
    segments: Segments
    codec: Codec
    model: Model
    train: Train
    ears: Ears
    sweep: AudioSweep
    demos: Demos
    judge: Judge
    evidence: Evidence
    midi: Midi
    report: Report
    track: Track

    @model_validator(mode="after")
    def _pretrained_model_needs_its_codec(self) -> Params:
        if self.model.pretrained and self.codec.kind != "encodec":
            raise ValueError(
                f"model.pretrained is {self.model.pretrained}, which speaks the codes of an EnCodec; set codec: {{kind: encodec, pretrained: "
                "facebook/encodec_32khz}, or the folder of the model's own"
            )
        return self

    @model_validator(mode="after")
    def _trainings_differ(self) -> Params:
        seeds = [self.train.seed, *self.evidence.train_seeds]
        if len(set(seeds)) < len(seeds):
            raise ValueError(f"evidence.train_seeds must differ from one another and from train.seed, {self.train.seed}: the same training twice says nothing of the next")
        return self

    @model_validator(mode="after")
    def _muon_is_for_fresh_models(self) -> Params:
        method = self.train.method
        if self.model.pretrained and method.optimizer == "muon" and not method.lora:
            raise ValueError("train.method.optimizer is muon, for trainings from nothing; with model.pretrained set adamw, as workflow/presets/musicgen.yaml does")
        return self


def check(values: Any, where: str = "params.yaml") -> Params:
    """Check a mapping against the types. Raises ParamsError, one line, naming every wrong key."""
    return _validate(Params, values, where)


def load(path: Path | str, *presets: Path | str) -> Params:
    """Read and check a parameter file, with presets laid over it as Snakemake's --configfile does."""
    values = _read_yaml(path)
    for preset in presets:
        values = _laid_over(values, _read_yaml(preset))
    return check(values, " + ".join(map(str, (path, *presets))))


def _laid_over(values: Any, preset: Any) -> Any:
    if not isinstance(values, Mapping) or not isinstance(preset, Mapping):
        return preset
    return {**values, **{key: _laid_over(values.get(key), value) for key, value in preset.items()}}


def section(name: str, source: str) -> Any:
    """One section as its type, from a parameter file's path or from the section itself as JSON (what rules pass).

    Args:
        name: key of params.yaml, such as `listen`; several joined by + give a dict of sections.
        source: path of a YAML file, or a JSON object.
    """
    return _section(Params.model_fields[name].annotation, name, source)


def part(model: type[Section], name: str, source: str) -> Any:
    """A part of params.yaml given as JSON by a rule (a training plan, say), as its type. `name` is what errors call it."""
    return _section(model, name, source)


def _section(model: Any, name: str, source: str) -> Any:
    if source.lstrip().startswith("{"):
        try:
            return _validate(model, json.loads(source), "--params", f"{name}.")
        except json.JSONDecodeError as error:
            raise ParamsError(f"--params: not JSON ({error})") from None
    values = _read_yaml(source)
    if not isinstance(values, Mapping) or name not in values:
        raise ParamsError(f"{source}: section '{name}' is missing")
    return _validate(model, values[name], source, f"{name}.")


def _read_yaml(path: Path | str) -> Any:
    try:
        return yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ParamsError(f"{path}: no such file") from None
    except yaml.YAMLError as error:
        raise ParamsError(f"{path}: not YAML ({' '.join(str(error).split())})") from None
    except UnicodeDecodeError as error:
        raise ParamsError(f"{path}: not UTF-8 ({error.reason} at byte {error.start}); save it so") from None


def _validate(model: type[Section], values: Any, where: str, prefix: str = "") -> Any:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ParamsError("; ".join(_line(finding, where, prefix) for finding in error.errors())) from None


def _line(finding: Any, where: str, prefix: str) -> str:
    key = (prefix + ".".join(str(part) for part in finding["loc"])).rstrip(".") or "top level"
    if finding["type"] == "extra_forbidden":
        return f"{where}: {key}: unknown key"
    if finding["type"] == "missing":
        return f"{where}: {key}: missing"
    message = finding["msg"].removeprefix("Value error, ")
    return f"{where}: {key}: {message}" + ("" if finding["type"] == "prompt" or isinstance(finding["input"], Mapping) else f", got {finding['input']!r}")


def schema() -> str:
    """The JSON schema of params.yaml, as text."""
    return json.dumps(Params.model_json_schema(), indent=1, sort_keys=True) + "\n"
