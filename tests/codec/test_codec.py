"""Codecs: what the recogniser still hears after one, audiocraft's interface, and codes on disk."""

import gzip
import json

import numpy as np
import pytest
import soundfile
import soxr
import torch

from music import PARAMS, RATE, play
from ostinato.cli import main
from ostinato.codec.audiocraft_compat import import_audiocraft
from ostinato.codec.codec import load_codec
from ostinato.files import UserError, read_jsonl, sha256, write_jsonl
from ostinato.harmony.prompts.prompt import parse
from ostinato.judge.adherence import align, chord_metrics
from ostinato.listen.hear import hear
from ostinato.lm.pretrained import CODEC_FILE

ASKED = ["piano C A:min F G", "guitar E A C#:min B", "organ D:min Bb G:min A", "ukulele F# B G#:min C#", "strings Eb C:min Ab Bb"]
SECONDS = 10.0


def write_manifest(folder, prompts: list[str]):
    """Renders of prompts at 16 kHz, and their manifest."""
    rows = []
    for number, prompt in enumerate(prompts):
        path = folder / f"{number:02d}.flac"
        soundfile.write(path, soxr.resample(play(prompt, SECONDS, seed=number), RATE, 16000), 16000)
        rows.append({"path": str(path), "duration": SECONDS, "sample_rate": 16000, "amplitude": None, "weight": None, "info_path": None})
    with gzip.open(folder / "data.jsonl.gz", "wt") as stream:
        stream.write("".join(json.dumps(row) + "\n" for row in rows))
    return folder / "data.jsonl.gz"


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A spectral codec fitted on other prompts than those asked."""
    folder = tmp_path_factory.mktemp("codec")
    roots = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
    prompts = [
        f"{instrument} {roots[i]} {roots[(i + 9) % 12]}:min {roots[(i + 2) % 12]} {roots[(i + 5) % 12]}:min"
        for instrument in ("piano", "guitar", "organ", "ukulele", "strings")
        for i in range(12)
    ]
    params = PARAMS.codec.model_copy(update={"fit_seconds": 600.0})
    assert main(["codec", "--params", params.model_dump_json(), "--manifest", str(write_manifest(folder, prompts)), "--out", str(folder / "codec")]) == 0
    return folder


def majmin(prompt: str, audio: np.ndarray, rate: int) -> float:
    heard = hear(audio, rate, PARAMS.listen, want_form=False)
    return chord_metrics(align(parse(prompt), heard.chords, SECONDS, 0.5), heard.chords)["majmin"]


def test_the_recogniser_hears_on_decoded_audio_what_it_hears_on_the_original(fitted):
    codec, scores = load_codec(fitted / "codec"), []
    for number, prompt in enumerate(ASKED):
        original = soxr.resample(play(prompt, SECONDS, seed=100 + number), RATE, codec.sample_rate)
        with torch.no_grad():
            decoded = codec.decode(*codec.encode(torch.from_numpy(original)[None, None]))[0, 0].numpy()
        scores.append((majmin(prompt, original, codec.sample_rate), majmin(prompt, decoded, codec.sample_rate)))
    original, decoded = np.mean(scores, axis=0)
    assert original > 85 and decoded >= 0.95 * original, scores


def test_codes_that_never_stood_together_make_no_bang(fitted, tmp_path):
    """As a model may say them; a codec from before there was a limit has none, and is loaded."""
    codec = load_codec(fitted / "codec")
    codes = torch.randint(codec.cardinality, (1, codec.num_codebooks, 5 * int(codec.frame_rate)), generator=torch.Generator().manual_seed(1))
    package = torch.load(fitted / "codec" / CODEC_FILE)
    del package["best_state"]["loudest"]
    torch.save(package, tmp_path / CODEC_FILE)
    limited, unlimited = (float(one.decode(codes).abs().max()) for one in (codec, load_codec(tmp_path)))
    assert limited < 2 and unlimited > 3 * limited


def test_the_same_audio_and_seed_fit_the_same_codec_and_another_seed_another(fitted, tmp_path):
    for out, seed in (("one", 1), ("again", 1), ("other", 2)):
        params = PARAMS.codec.model_copy(update={"fit_seconds": 60.0, "cardinality": 64, "seed": seed})
        assert main(["codec", "--params", params.model_dump_json(), "--manifest", str(fitted / "data.jsonl.gz"), "--out", str(tmp_path / out)]) == 0
    one, again, other = (sha256(tmp_path / out / CODEC_FILE) for out in ("one", "again", "other"))
    assert one == again != other


def test_it_is_audiocrafts_compression_model(fitted):
    codec = load_codec(fitted / "codec")
    assert isinstance(codec, import_audiocraft("audiocraft.models.encodec").CompressionModel)
    audio = torch.randn(2, 1, codec.sample_rate) * 0.1
    with torch.no_grad():
        codes, scale = codec.encode(audio)
        result = codec(audio)
    assert codes.shape == (2, codec.total_codebooks, codec.frame_rate) and codes.max() < codec.cardinality and scale is None
    assert result.x.shape == audio.shape and torch.equal(result.codes, codes)
    codec.set_num_codebooks(1)
    assert codec.encode(audio)[0].shape[1] == codec.num_codebooks == 1


ENCODEC = """
compression_model: encodec
sample_rate: 16000
channels: 1
encodec: {autoencoder: seanet, quantizer: rvq, sample_rate: 16000, channels: 1, causal: false, renormalize: false}
seanet: {dimension: 16, channels: 1, causal: false, n_filters: 4, n_residual_layers: 1, ratios: [8, 5, 4, 4], activation: ELU,
  activation_params: {alpha: 1.0}, norm: weight_norm, norm_params: {}, kernel_size: 7, residual_kernel_size: 3, last_kernel_size: 7,
  dilation_base: 2, pad_mode: constant, true_skip: true, compress: 2, lstm: 2, disable_norm_outer_blocks: 0,
  decoder: {trim_right_ratio: 1.0, final_activation: null, final_activation_params: null}, encoder: {}}
rvq: {n_q: 4, q_dropout: false, bins: 64, decay: 0.99, kmeans_init: false, kmeans_iters: 10, threshold_ema_dead_code: 2,
  orthogonal_reg_weight: 0.0, orthogonal_reg_active_codes_only: false}
"""


@pytest.fixture(params=["audiocraft", "transformers"])
def encodec(request, tmp_path):
    """A small EnCodec with random weights, in either layout in which pretrained ones come."""
    torch.manual_seed(0)
    if request.param == "audiocraft":
        from omegaconf import OmegaConf

        config = OmegaConf.create(ENCODEC + "device: cpu\n")
        model = import_audiocraft("audiocraft.models.builders").get_compression_model(config)
        torch.save({"best_state": model.state_dict(), "xp.cfg": OmegaConf.to_yaml(config), "version": "1.3.0", "exported": True}, tmp_path / CODEC_FILE)
    else:
        from transformers import EncodecConfig, EncodecModel

        config = EncodecConfig(
            sampling_rate=16000,
            num_filters=4,
            hidden_size=16,
            codebook_size=64,
            codebook_dim=16,
            upsampling_ratios=[8, 5, 4, 4],
            target_bandwidths=[0.6],
            normalize=False,
            num_residual_layers=1,
        )
        EncodecModel(config).save_pretrained(tmp_path)
    return tmp_path


def test_a_local_encodec_takes_the_spectral_codecs_place(encodec, fitted, tmp_path):
    params = PARAMS.codec.model_copy(update={"kind": "encodec", "pretrained": str(encodec)})
    arguments = ["codec", "--params", params.model_dump_json(), "--manifest", str(fitted / "data.jsonl.gz")]
    assert main([*arguments, "--out", str(tmp_path / "made")]) == 0
    codec = load_codec(tmp_path / "made")
    assert codec.cardinality == 64 and codec.frame_rate == 25
    with torch.no_grad():
        codes, scale = codec.encode(torch.randn(1, 1, 16000) * 0.1)
        assert codes.shape == (1, codec.num_codebooks, 25) and codec.decode(codes, scale).shape[-1] == 16000


def test_weights_that_are_nowhere_are_one_clear_line(fitted, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for name, expected in (("facebook/encodec_32khz", "set codec.pretrained to a local folder"), (str(tmp_path), "no codec in it")):
        params = PARAMS.codec.model_copy(update={"kind": "encodec", "pretrained": name})
        assert main(["codec", "--params", params.model_dump_json(), "--manifest", str(fitted / "data.jsonl.gz"), "--out", str(tmp_path / "out")]) == 2
        error = capsys.readouterr().err.strip()
        assert name in error and expected in error and "\n" not in error
    with pytest.raises(UserError, match="no such file"):
        load_codec(tmp_path)


def test_too_little_music_for_the_codebooks_is_said(fitted, tmp_path, capsys):
    params = PARAMS.codec.model_copy(update={"cardinality": 20000})
    assert main(["codec", "--params", params.model_dump_json(), "--manifest", str(fitted / "data.jsonl.gz"), "--out", str(tmp_path)]) == 2
    assert "codec.cardinality: 20000 entries need at least 2500 s" in capsys.readouterr().err


def test_segments_are_encoded_once_into_mapped_arrays(fitted, tmp_path):
    bars = [[0.0, 2.5, ["C:maj"]], [2.5, 5.0, ["G:maj"]]]
    for name, seed in (("a-000", 1), ("a-001", 2)):
        soundfile.write(tmp_path / f"{name}.flac", soxr.resample(play("piano C G", 5.0, seed), RATE, 16000), 16000)
    about = {"split": "train", "song": "a", "instrument": "piano", "description": "piano C G", "bars": bars}
    write_jsonl(tmp_path / "segments.jsonl", [about | {"name": name, "path": f"{name}.flac"} for name in ("a-000", "a-001")])
    out = tmp_path / "codes/shard-00.npy"
    assert main(["codes", "--codec", str(fitted / "codec"), "--segments", str(tmp_path), "--out", str(out)]) == 0
    codes, rows = np.load(out, mmap_mode="r"), read_jsonl(out.with_suffix(".jsonl"))
    assert codes.dtype == np.int16 and codes.shape == (4, 160) and [row["start"] for row in rows] == [0, 80]
    assert rows[1]["bars"] == [[0, 40, ["C:maj"]], [40, 80, ["G:maj"]]]
    audio, _ = soundfile.read(tmp_path / "a-001.flac", dtype="float32")
    with torch.no_grad():
        alone = load_codec(fitted / "codec").encode(torch.from_numpy(audio)[None, None])[0][0].numpy()
    assert np.array_equal(codes[:, 80:], alone)
