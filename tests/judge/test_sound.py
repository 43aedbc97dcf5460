"""What demos sound like: each number on input whose right value is known."""

import io
import json
import shutil

import numpy as np
import pytest
import soundfile
import soxr
import torch

from music import PARAMS, RATE, play
from ostinato.codec.encoding import Table, write_gathered
from ostinato.files import UserError
from ostinato.harmony.prompts.prompt import parse
from ostinato.judge import audio_copies as copies_module
from ostinato.judge.adherence import chord_metrics, on_grid
from ostinato.judge.audio_copies import audio_copies
from ostinato.judge.clap import Clap
from ostinato.judge.diversity import distance, diversity, picture
from ostinato.judge.embedding import embed_samples, mixed, read_clip
from ostinato.judge.hearing import Clip, hear_all, hear_clip
from ostinato.judge.kad import SCALE, bandwidth, kad
from ostinato.judge.repetition import likeness, repetition, share_repeated
from ostinato.judge.runs import Run, Sequences
from ostinato.judge.spectra import log_spectrum
from ostinato.listen.evidence import analyse, chord_evidence, resampled
from pretrained import save_clap


@pytest.fixture
def rng():
    return np.random.default_rng(0)


# -- embeddings ---------------------------------------------------------------------------------------------------------------------------------------


def test_the_embedding_comes_with_hearing(tmp_path):
    clip = play("piano C, G", 4)
    evidence = {ear: chord_evidence(analyse([resampled(clip, RATE)], ear), ear, None) for ear in ("judge", "labeller")}
    frames, embedding = evidence["judge"].embedded, embed_samples(clip, RATE, PARAMS.listen)
    assert frames.shape == (40, 224) and np.abs(frames).max() <= 1 and evidence["labeller"].embedded.shape == (40, 0)
    assert np.array_equal(embedding.harmony, np.concatenate([frames.mean(axis=0), frames.std(axis=0)])) and embedding.timbre.shape == (128,)
    soundfile.write(tmp_path / "long.wav", np.concatenate([clip, play("organ F, B", 4)]), RATE, subtype="FLOAT")
    first = embed_samples(*read_clip(tmp_path / "long.wav", 4), PARAMS.listen)
    assert np.array_equal(first.harmony, embedding.harmony) and np.array_equal(first.timbre, embedding.timbre)
    soundfile.write(tmp_path / "empty.wav", clip[:0], RATE)
    (tmp_path / "none.wav").write_text("no sound")
    for name, told in (("empty.wav", "holds no samples"), ("none.wav", "unknown|not recognised")):
        with pytest.raises(UserError, match=told):
            read_clip(tmp_path / name, 4)


def test_channels_that_cancel_out_are_not_silence():
    tone = np.sin(np.arange(1000.0) / 7)
    assert np.array_equal(mixed(np.stack([tone, -tone], axis=1)), tone) and np.allclose(mixed(np.stack([tone, 0 * tone], axis=1)), tone / 2)


def test_what_is_heard_in_a_clip_is_all_that_scores_need(tmp_path):
    """The real ears, on a true rendering: the chords, by all that listen; the instrument, the sound; and what cannot be heard is said."""
    soundfile.write(tmp_path / "clip.wav", play("piano C, F, G, C", 8), RATE, subtype="FLOAT")
    clip = hear_clip(str(tmp_path / "clip.wav"), PARAMS.listen, -50)
    asked = on_grid(parse("C F G C"), clip.duration)
    assert clip.duration == 8 and all(chord_metrics(asked, heard)["majmin"] > 80 for heard in (clip.heard, clip.second, clip.templates))
    assert max(clip.instruments, key=clip.instruments.get) == "piano" and clip.sounding > 95 and 0 <= clip.repeated <= 100
    assert len(clip.chroma) == 12 and clip.embedding.timbre.shape == (128,) and 7 < clip.sound_end <= 8 and clip.tempo > 0
    soundfile.write(tmp_path / "blip.wav", play("piano C", 0.3), RATE)
    soundfile.write(tmp_path / "loud.wav", np.full(RATE, 3e38, np.float32), RATE, subtype="FLOAT")
    said = hear_all([str(tmp_path / name) for name in ("clip.wav", "blip.wav", "loud.wav")], PARAMS.listen, -50, 1)
    assert isinstance(said[0], Clip) and "0.3 s of sound; expected at least 0.5 s" in said[1] and "beyond 1e+06 times full scale" in said[2]


def test_timbre_is_what_plays_and_how_clean_and_harmony_what_is_played(rng):
    clips = [play("piano C, G", 4), play("piano C, G", 4), play("organ C, G", 4), play("piano F#, Db", 4)]
    clips[1] = clips[1] + 0.5 * clips[1].std() * rng.normal(size=len(clips[1])).astype(np.float32)
    plain, noisy, organ, other = (embed_samples(clip, RATE, PARAMS.listen) for clip in clips)

    def apart(name, one):
        return np.linalg.norm(getattr(plain, name) - getattr(one, name))

    assert apart("timbre", noisy) > apart("timbre", other) and apart("timbre", organ) > 2 * apart("timbre", other)
    assert apart("harmony", other) > 3 * apart("harmony", noisy) and apart("harmony", other) > 3 * apart("harmony", organ)


# -- the kernel audio distance ------------------------------------------------------------------------------------------------------------------------


def test_kad_of_one_distribution_is_nothing_on_average_however_alike_seeds_are(rng):
    reference = rng.normal(size=(400, 4))
    clusters = np.repeat(np.arange(8), 3)
    values, together = [], []
    for _ in range(200):
        prompts = rng.normal(size=(8, 1, 4))
        demos = (np.sqrt(0.7) * prompts + np.sqrt(0.3) * rng.normal(size=(8, 3, 4))).reshape(24, 4)
        values.append(kad(demos, reference, clusters, 0.95)["value"])
        together.append(kad(demos, reference, np.arange(24), 0.95)["value"])
    error = np.std(values) / np.sqrt(len(values))
    assert abs(np.mean(values)) < 3 * error + 0.2 and min(values) < 0 < max(values)  # what is left is how the reference itself was drawn
    assert np.mean(together) > np.mean(values) + 1  # pairs of seeds, taken for clips that have nothing to do with one another


def test_kad_of_two_normal_distributions_is_their_closed_form(rng):
    dimensions, shift = 5, 1.5
    demos, reference = rng.normal(size=(1500, dimensions)), rng.normal(size=(1500, dimensions))
    demos[:, 0] += shift
    square = bandwidth(reference) ** 2
    # the mean of exp(-|x - y|^2 / 2s^2) over x - y ~ N(d, 2I) is (1 + 2/s^2)^(-n/2) exp(-|d|^2 / (2 (s^2 + 2)))
    truth = SCALE * 2 * (1 + 2 / square) ** (-dimensions / 2) * (1 - np.exp(-(shift**2) / (2 * (square + 2))))
    found = kad(demos, reference, np.arange(1500) // 50, 0.95)
    assert found["value"] == pytest.approx(truth, rel=0.05) and found["low"] < truth < found["high"] and found["n"] == 1500
    assert square == pytest.approx(2 * dimensions, rel=0.2)


def test_kad_of_three_clips_by_hand():
    demos, reference = np.array([[0.0], [1.0], [3.0]]), np.array([[0.0], [2.0]])

    def kernel(difference):
        return np.exp(-(difference**2) / (2 * 2**2))

    def mmd(points):
        own = np.mean([kernel(a - b) for i, a in enumerate(points) for j, b in enumerate(points) if i != j])
        return 100 * (own + kernel(2) - 2 * np.mean([kernel(a - b) for a in points for b in (0, 2)]))

    without = np.array([mmd([1, 3]), mmd([0, 3]), mmd([0, 1])])
    reach = 4.302652729911275 * np.sqrt(2 / 3 * ((without - without.mean()) ** 2).sum())
    found = kad(demos, reference, "abc", 0.95)
    assert found == pytest.approx({"value": mmd([0, 1, 3]), "low": mmd([0, 1, 3]) - reach, "high": mmd([0, 1, 3]) + reach, "n": 3}, abs=1e-4)


def test_kad_leaves_out_pairs_that_belong_together_across_as_well(rng):
    prompts = 3 * rng.normal(size=(40, 1, 6))
    one, other = ((prompts + 0.1 * rng.normal(size=(40, 2, 6))).reshape(80, 6) for _ in range(2))
    groups = np.repeat(np.arange(40), 2)
    assert abs(kad(one, other, groups, 0.95, groups)["value"]) < 0.5
    assert kad(one, other, groups, 0.95)["value"] < -1


def test_kad_says_what_it_cannot_know():
    some = np.arange(8.0).reshape(4, 2)
    nothing = {"value": None, "low": None, "high": None}
    assert kad(some, some, "aaaa", 0.95) == nothing | {"n": 4} and kad(some, np.ones((5, 2)), "abcd", 0.95) == nothing | {"n": 4}
    assert kad(some, some[:1], "abcd", 0.95) == nothing | {"n": 4} and kad(some[:0], some, "", 0.95) == nothing | {"n": 0}
    two = kad(some, some, "aabb", 0.95)
    assert two["value"] is not None and two["low"] is None and two["high"] is None


# -- CLAP ---------------------------------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def clap_folder(tmp_path_factory):
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("clap")
    save_clap(folder)
    return folder


def test_the_clap_score_is_the_cosine_as_transformers_has_it(clap_folder):
    from transformers import ClapModel, ClapProcessor

    clip, text = play("piano C, G", 4), "piano music"
    model, processor = ClapModel.from_pretrained(clap_folder).eval(), ClapProcessor.from_pretrained(clap_folder)
    inputs = processor(text=[text], audio=[soxr.resample(clip, RATE, 48000)], sampling_rate=48000, return_tensors="pt")
    with torch.no_grad():
        theirs = model(**inputs)
    clap = Clap(clap_folder)
    assert clap.score(clip, RATE, text) == pytest.approx(100 * float(torch.cosine_similarity(theirs.text_embeds, theirs.audio_embeds)), abs=1e-3)
    assert clap.score(clip, RATE, "organ") != clap.score(clip, RATE, text)


def test_long_clips_are_heard_whole_and_alike_each_time(clap_folder):
    clap, rng = Clap(clap_folder), np.random.default_rng(0)
    first, second = (rng.uniform(-0.5, 0.5, 8 * 48000).astype(np.float32) * np.linspace(0, 1, 8 * 48000, dtype=np.float32) ** power for power in (0, 3))
    both = clap.audio(np.concatenate([first, second]), 48000)
    mean = clap.audio(first, 48000) + clap.audio(second, 48000)
    assert both == pytest.approx(mean / np.linalg.norm(mean), abs=1e-5) and np.array_equal(both, clap.audio(np.concatenate([first, second]), 48000))


def _drop_weight(folder):
    from safetensors.torch import load_file, save_file

    state = load_file(folder / "model.safetensors")
    save_file({name: value for name, value in state.items() if name != "audio_projection.linear1.weight"}, folder / "model.safetensors", {"format": "pt"})


@pytest.mark.parametrize(
    "spoil, told",
    [
        (shutil.rmtree, "no such folder"),
        (lambda folder: (folder / "model.safetensors").unlink(), "lacks model.safetensors or pytorch_model.bin"),
        (lambda folder: [(folder / name).unlink() for name in ("processor_config.json", "tokenizer.json")], "lacks preprocessor_config.json or .*, tokenizer.json or vocab.json"),
        (lambda folder: (folder / "config.json").write_text(json.dumps({"model_type": "t5"})), "is of model type 't5'"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"x"), "cannot be loaded"),
        (_drop_weight, "its weights lack 1 of those of a CLAP model, audio_projection.linear1.weight among them"),
    ],
    ids=["folder", "weights", "processor", "another", "broken", "parts"],
)
def test_a_folder_that_lacks_something_is_refused_in_a_line(clap_folder, tmp_path, spoil, told):
    folder = tmp_path / "clap"
    shutil.copytree(clap_folder, folder)
    spoil(folder)
    with pytest.raises(UserError, match=told) as refused:
        Clap(folder)
    assert "\n" not in str(refused.value) and "hf download laion/clap-htsat-unfused" in str(refused.value)


# -- copies of codes ----------------------------------------------------------------------------------------------------------------------------------


def test_a_planted_run_of_codes_is_found_with_its_exact_length(rng, monkeypatch):
    training = [(f"segment {i}", rng.integers(0, 512, 300).astype(np.int16)) for i in range(40)]
    demo = rng.integers(0, 512, 250).astype(np.int16)
    demo[100:177] = training[23][1][50:127]
    demo[99], demo[177] = (training[23][1][49] + 1) % 512, (training[23][1][127] + 1) % 512
    whole = training[31][1][:250].copy()
    for chunk in (copies_module.CHUNK, 1000):  # wherever chunks end
        monkeypatch.setattr(copies_module, "CHUNK", chunk)
        found = audio_copies({"planted": demo, "whole": whole, "new": np.full(250, 600, np.int16)}, iter(training), [("h", whole), ("short", whole[:200])], 25.0)
        assert found["demos"]["planted"] == {"frames": 77, "seconds": 3.08, "start": 4.0, "source": "segment 23"}
        assert found["demos"]["whole"] == {"frames": 250, "seconds": 10.0, "start": 0.0, "source": "segment 31"}
        assert found["demos"]["new"] == {"frames": 0, "seconds": 0.0, "start": 0.0, "source": None}
        assert found["chance"] == {"mean": 10.0, "p95": 10.0, "n": 1} and found["training"] == {"segments": 40, "frames": 12000}


def test_chance_is_the_mean_and_the_95th_percentile_of_held_out_music():
    training = [("scale", np.arange(1000))]
    heldout = [(str(length), np.concatenate([np.arange(length), np.full(50, 2000)])[:50]) for length in range(21)]
    found = audio_copies({"demo": np.full(50, 3000)}, training, heldout, 10.0)
    assert found["chance"] == {"mean": 1.0, "p95": 1.9, "n": 21} and found["demos"]["demo"]["frames"] == 0
    assert audio_copies({"demo": np.arange(50)}, training, [], 10.0)["chance"] == {"mean": None, "p95": None, "n": 0}
    assert audio_copies({}, [], [], 10.0)["training"] == {"segments": 0, "frames": 0}


def test_only_longer_runs_than_known_are_looked_for(rng):
    training = Sequences([("a", np.arange(100)), ("b", np.arange(200, 300))])
    sample = np.concatenate([np.arange(10, 30), np.arange(250, 290)])
    for known in range(60):
        assert training.longest_run(sample, beyond=known) == (Run(40, 20, "b") if known < 40 else Run(0))


def test_codes_are_read_from_the_table(tmp_path):
    expected = {}
    for shard in range(2):
        codes = np.arange(2 * 60, dtype=np.int16).reshape(2, 60) + 200 * shard
        np.save(tmp_path / f"shard-0{shard}.npy", codes)
        rows = [{"id": f"{number}{shard}", "start": 10 * number, "frames": 10, "split": "train" if number % 3 else "test", "song": f"s{shard}"} for number in range(6)]
        (tmp_path / f"shard-0{shard}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        expected |= {row["id"]: codes[0, row["start"] : row["start"] + 10].tolist() for row in rows if row["split"] == "train"}
    write_gathered([tmp_path / "shard-00.npy", tmp_path / "shard-01.npy"], set())
    table = Table.load(tmp_path / "segments.npz")
    assert {name: codes.tolist() for name, codes in table.first_codes(table.of("train", 100))} == expected
    assert [name for name, _ in table.first_codes(table.of("train", 4))] == ["10", "20", "40", "50"] and len(table.of("test", 3)) == 3 and len(table.of("valid", 3)) == 0


# -- repetition ---------------------------------------------------------------------------------------------------------------------------------------


def as_mp3(samples: np.ndarray) -> np.ndarray:
    """Samples through the worst MP3."""
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format="MP3", subtype="MPEG_LAYER_III", compression_level=0.95)
    file.seek(0)
    return soundfile.read(file, dtype="float32")[0]


@pytest.mark.parametrize("prompt", ["piano C, A min", "guitar F, G", "ukulele C, F", "organ Dmin, G"])
def test_a_clip_whose_second_half_repeats_its_first(prompt):
    half = play(prompt, 5.013)  # no whole number of frames
    assert repetition(np.concatenate([half, half]), RATE) == pytest.approx(50, abs=2)
    assert repetition(as_mp3(np.concatenate([half, half, half])), RATE) == pytest.approx(200 / 3, abs=3)


@pytest.mark.parametrize("instrument", ["piano", "guitar", "ukulele"])
def test_other_figures_over_the_same_chords_and_other_chords_are_no_repetition(instrument):
    halves = [play(f"{instrument} C, G, A min, F", 6, seed)[: int(4.5 * RATE)] for seed in range(8)]  # the last chord is held, whatever the figure
    apart = [distance(picture(log_spectrum(halves[0], RATE)), picture(log_spectrum(other, RATE))) for other in halves]
    another = halves[int(np.argmax(apart))]
    assert repetition(np.concatenate([halves[0], another]), RATE) < 10
    assert repetition(np.concatenate([halves[0], play(f"{instrument} Eb, Bb, C min, Ab", 6)]), RATE) == 0


def test_what_never_changes_repeats_itself_and_silence_does_not(rng):
    times = np.arange(10 * RATE) / RATE
    drone = sum(np.sin(2 * np.pi * 220 * k * times) / k for k in (1, 2, 3, 4)) * 0.1
    assert repetition(drone + 1e-3 * rng.normal(size=len(drone)), RATE) == pytest.approx(80, abs=1)
    assert repetition(np.zeros(10 * RATE, np.float32), RATE) == 0
    assert repetition(np.concatenate([play("piano C", 3), np.zeros(7 * RATE, np.float32)]), RATE) < 5
    assert repetition(drone[: 3 * RATE], RATE) == 0 and repetition(drone[:100], RATE) == 0
    assert repetition(rng.normal(size=10 * RATE), RATE) == pytest.approx(80, abs=1)  # noise is a sound that never changes


def test_likeness_is_the_correlation_of_windows_of_equal_norm(rng):
    spectrum = rng.normal(size=(60, 3))
    spectrum[40:50] = spectrum[10:20]
    centred = spectrum - spectrum.mean(axis=0)
    found = likeness(spectrum, 10)
    assert found[40] == pytest.approx(1) and np.all(np.isneginf(found[:10]))
    by_hand = [
        1
        - ((centred[30:40] - centred[s : s + 10]) ** 2).sum()
        / max((centred[30:40] ** 2).sum() + (centred[s : s + 10] ** 2).sum(), 0.2 * ((spectrum[30:40] ** 2).sum() + (spectrum[s : s + 10] ** 2).sum()))
        for s in range(21)
    ]
    assert found[30] == pytest.approx(max(by_hand))
    assert share_repeated(np.zeros((0, 96), np.float32)) == 0


# -- diversity ----------------------------------------------------------------------------------------------------------------------------------------


def test_identical_seeds_have_no_diversity_and_unlike_ones_have(rng):
    same = picture(log_spectrum(play("piano C, G", 4), RATE))
    other = picture(log_spectrum(play("organ F#, B min", 4), RATE))
    assert same.shape == (20, 96)
    assert diversity({"a": [same] * 3, "b": [other, other, other]}, 0.95)["value"] == 0
    assert distance(same, same[:10]) == pytest.approx(0, abs=1e-6)  # over the shorter one's length
    louder = picture(log_spectrum(0.3 * play("piano C, G", 4), RATE))
    assert distance(same, louder) < 0.1 < 30 < distance(same, other)


def test_diversity_is_the_mean_over_pairs_then_over_prompts():
    pattern = np.array([[1.0, -1.0], [1.0, -1.0]])
    orthogonal = np.array([[1.0, -1.0], [-1.0, 1.0]])
    assert [distance(pattern, one) for one in (pattern, orthogonal, -pattern, np.zeros((2, 2)))] == pytest.approx([0, 100, 200, 100])
    assert distance(np.zeros((2, 2)), np.zeros((2, 2))) == 0
    found = diversity({"a": [pattern, pattern, orthogonal], "b": [pattern, -pattern], "alone": [pattern]}, 0.95)
    assert found["value"] == pytest.approx((200 / 3 + 200) / 2, abs=1e-3) and found["n"] == 4
