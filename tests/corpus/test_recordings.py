"""Recordings as people have them: every format, headers that lie, damage, odd levels, odd folders. All are made here."""

import errno
import io
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from music import PARAMS
from ostinato.cli import main
from ostinato.corpus.levels import Levels
from ostinato.corpus.recordings import RecordingError, decode, read, stream
from ostinato.pool import resilient_map
from tones import CORPUS, RATE, tone
from tracks import check

SECONDS = 8.0
#: File name -> codec and container by FFmpeg's names.
FORMATS = {
    "a.m4a": ("aac", "mp4"),
    "b.aac": ("aac", "adts"),
    "c.opus": ("libopus", "opus"),
    "d.oga": ("flac", "ogg"),
    "e.aiff": ("pcm_s16be", "aiff"),
    "f.w64": ("pcm_s16le", "w64"),
    "g.caf": ("pcm_s16be", "caf"),
    "h.webm": ("libopus", "webm"),
    "i.MP4": ("aac", "mp4"),
    "j.m4a": ("alac", "mp4"),
    "k.wv": ("wavpack", "wv"),
    "l.mka": ("libmp3lame", "matroska"),
    "m.mov": ("pcm_s16le", "mov"),
    "n.wav": ("pcm_f32le", "wav"),
    "o.ts": ("mp2", "mpegts"),
}


def write(path: Path | io.BytesIO, codec: str, container: str, samples: np.ndarray, rate: int = RATE) -> None:
    """Samples [T, C] in any format that FFmpeg writes."""
    with av.open(path, "w", format=container) as out:
        there = 48000 if codec == "libopus" else rate
        coded = out.add_stream(codec, rate=there, layout="stereo" if samples.shape[1] == 2 else "mono")
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.reshape(1, -1)), format="flt", layout=coded.layout.name)
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        convert, queue = av.AudioResampler(coded.format, coded.layout, there), av.AudioFifo()
        for part in [*convert.resample(frame), *convert.resample(None)]:
            queue.write(part)
        while queue.samples:
            out.mux(coded.encode(queue.read(min(queue.samples, coded.codec_context.frame_size or 1024))))
        out.mux(coded.encode(None))


def encoded(kind: str, seed: int = 0, rate: int = RATE, samples: np.ndarray | None = None, **how) -> bytes:
    """Eight seconds of a tone, or other samples, as a file of soundfile's."""
    file = io.BytesIO()
    soundfile.write(file, tone(SECONDS, seed) if samples is None else samples, rate, format=kind, **how)
    return file.getvalue()


def opus(seed: int) -> bytes:
    """Eight seconds of a tone as Opus in Ogg."""
    file = io.BytesIO()
    write(file, "libopus", "opus", tone(SECONDS, seed))
    return file.getvalue()


def test_every_format_is_taken_with_its_true_length(tmp_path):
    (tmp_path / "in").mkdir()
    for number, (name, (codec, container)) in enumerate(FORMATS.items()):
        write(tmp_path / "in" / name, codec, container, tone(SECONDS, number, 2))
    _, songs, aside = check(tmp_path / "in", tmp_path / "out", CORPUS)
    assert {Path(song["path"]).name for song in songs} == set(FORMATS) and not aside
    assert {round(song["duration"], 1) for song in songs} <= {8.0, 8.1}


def no_total(data: bytes) -> bytes:
    """A FLAC as it comes out of a pipe: the count of samples in STREAMINFO, 36 bits from byte 21 on, is 0."""
    return data[:21] + bytes([data[21] & 0xF0]) + bytes(4) + data[26:]


def wav_of_length(data: bytes, length: int) -> bytes:
    """A WAV whose header gives its sound another length, in bytes."""
    at = data.index(b"data") + 4
    return data[:at] + length.to_bytes(4, "little") + data[at + 4 :]


def without_xing(data: bytes) -> bytes:
    """An mp3 of which the first frame, with the count of frames, is taken away."""
    mark = max(data.find(b"Xing"), data.find(b"Info"))
    return data[data.index(data[data.rindex(b"\xff", 0, mark) :][:2], mark) :]


#: File name -> bytes and the seconds there are in them.
LYING = {
    "pipe.flac": lambda: (no_total(encoded("FLAC")), 8.0),
    "size_0.wav": lambda: (wav_of_length(encoded("WAV"), 0), 8.0),
    "size_max.wav": lambda: (wav_of_length(encoded("WAV"), 2**32 - 1), 8.0),
    "stale.wav": lambda: (wav_of_length(encoded("WAV"), 40000), 8.0),
    "vbr_no_xing.mp3": lambda: (without_xing(encoded("MP3", bitrate_mode="VARIABLE")), 8.0),
    "two_joined.mp3": lambda: (encoded("MP3") + encoded("MP3", 1), 16.0),
    "chained.ogg": lambda: (encoded("OGG") + encoded("OGG", 1), 16.0),
    "three.opus": lambda: (opus(0) + opus(1) + opus(2), 24.0),
    "other_rate.ogg": lambda: (encoded("OGG") + encoded("OGG", 1, 2 * RATE), 12.0),
    "joined.wav": lambda: (encoded("WAV") + encoded("WAV", 1, 2 * RATE), 12.0),
    "a flac called.mp3": lambda: (encoded("FLAC"), 8.0),
}


@pytest.mark.parametrize("name", LYING)
def test_headers_are_not_believed(name, tmp_path):
    data, seconds = LYING[name]()
    (tmp_path / name).write_bytes(data)
    decoded = decode(tmp_path / name)
    assert decoded.duration == pytest.approx(seconds, abs=0.15)
    samples, rate = read(tmp_path / name)
    assert len(samples) == decoded.frames and rate == decoded.sample_rate and np.abs(samples).max() < 1
    heard = np.concatenate(list(stream(tmp_path / name, 16000)))
    assert len(heard) == pytest.approx(16000 * decoded.duration, abs=2) and min(np.abs(part).max() for part in np.array_split(heard, int(seconds))) > 0.1


def test_an_identity_is_the_same_in_any_process_and_after_any_other_song(tmp_path):
    for number, name in enumerate(FORMATS):
        write(tmp_path / name, *FORMATS[name], tone(3.0, number, 2))
    for name in LYING:
        (tmp_path / name).write_bytes(LYING[name]()[0])
    paths, seen = sorted(tmp_path.iterdir()), []
    code = "import json, sys; from ostinato.corpus.recordings import decode; print(json.dumps({path: decode(path).content for path in sys.argv[1:]}))"
    for seed in range(3):
        random.Random(seed).shuffle(paths)
        seen.append(json.loads(subprocess.run([sys.executable, "-c", code, *paths], check=True, capture_output=True).stdout))
    assert seen[0] == seen[1] == seen[2] and len(seen[0]) == len(paths)


def test_sound_kept_without_loss_is_known_whatever_it_is_wrapped_in(tmp_path):
    for name in ("e.aiff", "f.w64", "g.caf", "j.m4a", "m.mov"):
        write(tmp_path / name, *FORMATS[name], tone(3.0, 0, 2))
    soundfile.write(tmp_path / "x.flac", read(tmp_path / "e.aiff", mono=False)[0].T, RATE)
    assert len({decode(path).content for path in tmp_path.iterdir() if path.name != "j.m4a"}) == 1


def test_damage_is_left_out_and_named_and_too_much_sets_aside(tmp_path):
    rng = np.random.default_rng(0)
    for name, whole in {"a.mp3": encoded("MP3"), "b.flac": encoded("FLAC", 1), "c.ogg": encoded("OGG", samples=tone(20, 2))}.items():
        (tmp_path / "in").mkdir(exist_ok=True)
        middle = len(whole) // 2
        (tmp_path / "in" / name).write_bytes(whole[:middle] + rng.bytes(1500) + whole[middle + 1500 :])
    half = encoded("FLAC", 4)
    (tmp_path / "in/much.flac").write_bytes(half[: len(half) // 3] + rng.bytes(len(half) // 2) + half[len(half) * 5 // 6 :])
    _, songs, aside = check(tmp_path / "in", tmp_path / "out", CORPUS.model_copy(update={"min_seconds": 1.0}))
    assert aside == {"a.mp3": "used_damaged", "b.flac": "used_damaged", "c.ogg": "used_damaged", "much.flac": "damaged"}
    assert sorted(round(song["duration"]) for song in songs) == [8, 8, 18]
    detail = next(line for line in (tmp_path / "out/set_aside.tsv").read_text().splitlines() if "a.mp3" in line)
    assert re.search(r"about 0\.\d\d s of [78]\.\d s cannot be decoded, from [34]\.\d s on", detail)


def test_levels_are_mended_and_said(tmp_path):
    plain = tone(SECONDS)
    (tmp_path / "in").mkdir()
    soundfile.write(tmp_path / "in/loud.wav", 12 * plain, RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "in/offset.wav", plain / 2 + 0.25, RATE)
    soundfile.write(tmp_path / "in/opposite.wav", plain * [[1, -1]], RATE)
    soundfile.write(tmp_path / "in/four.wav", plain * [[1, -1, 0.5, -0.5]], RATE)
    soundfile.write(tmp_path / "in/wide.wav", np.hstack([plain, tone(SECONDS, 7) * 0]), RATE)
    soundfile.write(tmp_path / "in/constant.wav", np.full((8 * RATE, 1), 0.3), RATE)
    _, songs, aside = check(tmp_path / "in", tmp_path / "out", CORPUS)
    assert aside == {"loud.wav": "used_scaled", "offset.wav": "used_offset", "opposite.wav": "used_out_of_phase", "four.wav": "used_out_of_phase", "constant.wav": "silent"}
    for song in songs:
        samples, _ = read(song["path"], levels=Levels.of(song))
        likeness = abs(np.corrcoef(samples, plain[:, 0])[0, 1])
        assert likeness > 0.999 and abs(samples.mean()) < 1e-3, song["path"]


def test_a_folder_is_searched_to_its_last_corner(tmp_path):
    music, elsewhere = tmp_path / "music", tmp_path / "elsewhere"
    (music / "album/.hidden").mkdir(parents=True)
    elsewhere.mkdir()
    for number, path in enumerate([music / "a.wav", elsewhere / "b.wav", music / "album/.hidden/c.wav", music / "d.bak", os.fsencode(music) + b"/e \xff.wav"]):
        soundfile.write(path, tone(SECONDS, number), RATE, format="WAV")
    (music / "linked").symlink_to(elsewhere)
    (music / "album/loop").symlink_to(music)
    (music / "gone.mp3").symlink_to("nowhere.mp3")
    os.mkfifo(music / "pipe.wav")
    (music / "cover.jpg").write_bytes(np.random.default_rng(0).bytes(100_000))
    (music / "notes.txt").write_text("C G A:min F")
    (music / "list.m4a").write_text("#EXTM3U\n#EXTINF:10,\na.wav\n")
    _, songs, aside = check(music, tmp_path / "out", CORPUS)
    assert sorted(os.fsencode(Path(song["path"]).name) for song in songs) == [b"a.wav", b"b.wav", b"e \xff.wav"]
    assert aside == {
        "c.wav": "hidden",
        "d.bak": "unknown_suffix",
        "loop": "link",
        "gone.mp3": "link",
        "pipe.wav": "unreadable",
        "list.m4a": "unreadable",
        "e \udcff.wav": "used_name",
    }


#: What is called a recording and is none, and what is said of it.
NO_RECORDINGS = {
    "pointer.flac": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1234\n", "unreadable"),
    "picture.mp3": (None, "unreadable"),
    "list.aac": (b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\na.mp3\n#EXT-X-ENDLIST\n", "unreadable"),
    "more.mp3": (b"ffconcat version 1.0\nfile 'a.wav'\n", "unreadable"),
}


@pytest.mark.parametrize("name", NO_RECORDINGS)
def test_what_is_no_recording_is_said_to_be_none_and_names_no_other(name, tmp_path):
    data, reason = NO_RECORDINGS[name]
    (tmp_path / name).write_bytes(b"\xff\xd8\xff\xe0\0\x10JFIF" + np.random.default_rng(1).bytes(100_000) if data is None else data)
    soundfile.write(tmp_path / "a.wav", tone(SECONDS), RATE)
    with pytest.raises(RecordingError) as told:
        decode(tmp_path / name)
    assert told.value.reason == reason


def film(container: str) -> bytes:
    """Twenty-four seconds of pictures, and of sound behind them all where the container does not mix them."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        pictures, sound = out.add_stream("mpeg2video", rate=5), out.add_stream("mp2", rate=44100, layout="mono")
        pictures.width = pictures.height = 64
        pictures.pix_fmt = "yuv420p"
        frame = av.AudioFrame.from_ndarray((8000 * tone(24)).astype(np.int16).reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 44100, 0, Fraction(1, 44100)
        for count in range(120):
            out.mux(pictures.encode(av.VideoFrame.from_ndarray(np.full((64, 64, 3), count, np.uint8), "rgb24").reformat(format="yuv420p")))
        out.mux([*pictures.encode(None), *sound.encode(frame), *sound.encode(None)])
    return file.getvalue()


def test_a_stream_whose_beginning_shows_no_rate_is_decoded(tmp_path):
    (tmp_path / "film.ts").write_bytes(film("mpegts"))  # all pictures stand before all sound, as no probe looks ahead
    assert decode(tmp_path / "film.ts").duration == pytest.approx(12, abs=0.1)


@pytest.mark.parametrize("name, container", [("film.avi", "avi"), ("film.mkv", "matroska")])
def test_a_film_that_is_cut_off_is_known_by_its_size(name, container, tmp_path):
    whole = film(container)
    (tmp_path / name).write_bytes(whole)
    assert decode(tmp_path / name).duration == pytest.approx(12, abs=0.1) and not decode(tmp_path / name).remarks
    (tmp_path / name).write_bytes(whole[: len(whole) * 3 // 4])
    with pytest.raises(RecordingError, match="truncated: 2.% of the file are missing at its end"):
        decode(tmp_path / name)


def test_bytes_that_are_no_samples_are_not_taken_for_loud_ones(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.append(tone(SECONDS)[:, 0], np.float32(1e30)), RATE, subtype="FLOAT")
    with pytest.raises(RecordingError, match="1e[+]30 times full scale"):
        decode(tmp_path / "a.wav")


def misbehave(item: int) -> int:
    """As a library that meets a file it cannot bear."""
    if item == 3:
        time.sleep(600)
    if item == 7:
        os.kill(os.getpid(), signal.SIGSEGV)
    return 2 * item


def test_a_file_at_which_its_process_dies_or_hangs_ends_itself_alone():
    results = list(resilient_map(misbehave, range(10), 2, lambda item, why: f"{item} {why}", lambda item: 1))
    assert results == [0, 2, 4, "3 took over 1 s", 8, 10, 12, "7 died, with exit code -11", 16, 18]


def test_a_full_disk_is_no_songs_fault(tmp_path, monkeypatch, capsys):
    (tmp_path / "in").mkdir()
    soundfile.write(tmp_path / "in/a.wav", tone(SECONDS), RATE)
    check(tmp_path / "in", tmp_path / "out", CORPUS)
    songs = next(path for path in tmp_path.glob("out/shards/*.jsonl") if path.stat().st_size)

    def full(*_) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", full)
    for command in (
        ["check", "--params", CORPUS.model_dump_json(), "--folder", f"{tmp_path}/in", "--out", f"{tmp_path}/more"],
        ["listen", "--params", PARAMS.listen.model_dump_json(), "--songs", str(songs), "--out", f"{tmp_path}/heard"],
    ):
        assert main(command) == 2
        assert re.search(rf"^ostinato {command[0]}: disk full: {tmp_path}/\S+ could not be written .*; make room and start again$", capsys.readouterr().err, re.M)
