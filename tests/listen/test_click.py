"""`ostinato hear --click`: clicks lie on the beats, the heard chords sound, nothing clips, and the file is as long as the song."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile

from heard import heard
from music import PARAMS, RATE, play
from ostinato.cli import main
from ostinato.corpus.levels import Levels
from ostinato.corpus.listing import recordings_in
from ostinato.harmony.chords import Chord
from ostinato.listen import batch, click
from ostinato.lists import ASIDE, WANTED

HIGH = 44100


def clicked(tmp_path, told, samples, rate=HIGH, levels=Levels()) -> np.ndarray:
    """The file that is made of a song of these samples."""
    soundfile.write(tmp_path / "song.wav", samples, rate, subtype="FLOAT")
    click.write(tmp_path / "out.wav", told, click.Recording(tmp_path / "song.wav", levels, rate))
    sound, read_rate = soundfile.read(tmp_path / "out.wav")
    assert read_rate == rate and sound.shape == (len(samples),) and np.abs(sound).max() < 1
    return sound


def silence(told, rate=HIGH) -> np.ndarray:
    return np.zeros(round(told.duration * rate))


@pytest.mark.parametrize("rate", [8000, HIGH])
def test_clicks_begin_on_the_samples_of_the_beats_and_first_beats_are_louder_and_higher(tmp_path, rate):
    told = heard([("3/4", 4), ("6/8", 2)], "N")
    told = replace(told, beats=told.beats + 0.01234)
    sound = clicked(tmp_path, told, silence(told, rate), rate)
    loud, high, places = [], [], np.round(told.beats * rate).astype(int)
    for place in places:
        around = sound[place - 20 : place + round(0.03 * rate)]
        assert not around[:20].any() and np.abs(around[20:24]).max() > 0.01  # a sine begins at 0, on the sample of its beat
        loud.append(np.abs(around).max())
        high.append(np.abs(np.fft.rfft(around, rate)).argmax())
    firsts = told.positions == 1
    assert np.min(np.array(loud)[firsts]) > 1.5 * np.max(np.array(loud)[~firsts]) and np.min(np.array(high)[firsts]) > 1.3 * np.max(np.array(high)[~firsts])


def test_the_heard_chords_sound_with_their_bass_in_the_tuning_of_the_song(tmp_path):
    told = heard([("4/4", 3)], "C:maj/3 N G:min7", tuning=0.3, beats=np.zeros(0), positions=np.zeros(0, int), sureness=np.zeros(0), metres=[])
    sound = clicked(tmp_path, told, silence(told))
    second, third = sound[round(2.6 * HIGH) : 4 * HIGH], sound[round(4.05 * HIGH) : round(5.9 * HIGH)]
    assert np.abs(second).max() < 0.02 < np.abs(third).max()
    for part, bass, pitches in ((sound[round(0.05 * HIGH) : round(1.9 * HIGH)], 40, (0, 4, 7)), (third, 43, (7, 10, 2, 5))):
        spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part)), 2**19))
        notes = 69 + 12 * np.log2(np.maximum(np.fft.rfftfreq(2**19, 1 / HIGH), 1) / 440) - 0.3

        def strength(lowest: float, highest: float) -> float:
            return float(spectrum[(notes > lowest) & (notes < highest)].max())

        assert notes[spectrum[notes < 50].argmax()] == pytest.approx(bass, abs=0.1)
        middle = {note % 12: strength(note - 0.2, note + 0.2) for note in range(56, 68)}
        assert min(middle[pitch] for pitch in pitches) > 5 * np.median(list(middle.values()))  # others are there as overtones of the bass


def test_chords_are_struck_anew_with_each_bar():
    notes = click.notes_of(replace(heard([("3/4", 4)]), chords=[(0.0, 4.5, Chord("C")), (4.5, 6.0, Chord("N", ""))]))
    assert sorted({start for start, *_ in notes}) == [0.0, 1.5, 3.0] and {start + length for start, length, *_ in notes} == {1.5, 3.0, 4.5}


@pytest.mark.parametrize("level", [0.001, 1.0, 30.0])
def test_no_song_is_so_loud_that_it_clips(tmp_path, level):
    told = heard([("2/4", 8)], "C F")
    noise = np.random.default_rng(0).uniform(-level, level, len(silence(told)))
    sound = clicked(tmp_path, told, np.stack([noise, -noise], axis=1), levels=Levels("side"))
    assert np.abs(sound).max() < 32767 / 32768
    assert (np.corrcoef(sound, noise)[0, 1] > 0.8) == (level >= 1)


@pytest.fixture
def song(tmp_path, monkeypatch):
    """An MP3 where we are, of five bars."""
    monkeypatch.chdir(tmp_path)
    soundfile.write("song.mp3", play("piano C F G C C", 12.5), RATE, format="MP3")
    return tmp_path


def test_at_the_door(song, capsys):
    params = ["--params", PARAMS.listen.model_dump_json(), "--jobs", "1"]
    assert main(["hear", "song.mp3", "--click", "out.wav", *params]) == 0 and capsys.readouterr().out.endswith("saved out.wav\n")
    assert soundfile.info("out.wav").frames == pytest.approx(12.5 * RATE, abs=2) and soundfile.info("out.wav").samplerate == RATE
    (song / "out.wav").write_bytes(b"mine")
    assert main(["hear", "song.mp3", "--click", "out.wav", *params]) == 0 and (song / "out.wav").read_bytes() == b"mine"
    assert "kept as it was: out.wav (--force overwrites)" in capsys.readouterr().err
    (song / "out.wav").unlink()
    assert main(["hear", ".", "--click", *params]) == 0 and (song / "song.click.wav").is_file() and capsys.readouterr().out.startswith("song.mp3 ")
    assert [one.path.name for one in batch.find_songs([song])] == ["song.mp3"]  # and not the song with clicks, nor is that learnt from
    lines = recordings_in(str(song), 1)[0]
    assert [line[0] for line in lines] == [WANTED, ASIDE] and lines[1][2] == "with_clicks"


@pytest.mark.parametrize(
    "words, said",
    [
        ("song.mp3 song.wav --click out.wav", "--click out.wav: one file for 2 recordings; name a folder"),
        ("song.wav --click song.wav --force", "--click song.wav: the recording itself; name another file"),
        ("song.wav --click song.mp3", "--click song.mp3: not a folder; name the recordings first, then --click"),
    ],
)
def test_what_would_destroy_a_recording_is_refused(song, words, said, capsys):
    soundfile.write("song.wav", np.zeros(RATE), RATE)
    before = (song / "song.wav").read_bytes()
    assert main(["hear", *words.split()]) == 2 and capsys.readouterr().err == f"ostinato hear: {said}\n"
    assert (song / "song.wav").read_bytes() == before
