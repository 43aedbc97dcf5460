"""Chord names and prompts: what people write, what is read, and what is refused."""

import json
import re
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

from ostinato.cli import main
from ostinato.etudes.rendering import soundfont
from ostinato.files import UserError
from ostinato.generate.reference import perform
from ostinato.harmony.chords import COMMON, QUALITIES, Chord, ChordError, pitch_class
from ostinato.harmony.keys import Key, roman
from ostinato.harmony.numerals import Tonality, read_numeral
from ostinato.harmony.prompts.kinds import KINDS, closing, kind_of, phrasing_of
from ostinato.harmony.prompts.prompt import PHRASINGS, Prompt, PromptError, draw_phrasing, format_prompt, is_instrument, parse, require_chords, spans
from ostinato.harmony.prompts.sets import COLUMNS, read_set
from ostinato.judge.adherence import align
from ostinato.params import ParamsError, check, load, section
from ostinato.tables import read_table
from project import ROOT


def harte(text: str) -> str:
    """A prompt as read, in short: `piano | C:maj | G:maj,G:7`."""
    prompt = parse(text)
    return " | ".join([prompt.instrument, *(",".join(chord.harte for chord in bar) for bar in prompt.bars)])


#: What is typed -> the instrument and the bars; handed in by users first.
READ = {
    "piano CMajor": "piano | C:maj",
    "ukulele Cmaj, followed by Fmaj, Gmaj, and Cmaj": "ukulele | C:maj | F:maj | G:maj | C:maj",
    "C G,G:7 A:min": " | C:maj | G:maj,G:7 | A:min",
    "A piano playing A, E and D": "A piano | A:maj | E:maj | D:maj",
    "electric guitar Am, then Bb:maj7/3, then N": "electric guitar | A:min | Bb:maj7/3 | N",
    "organ": "organ",
    "piano Cadd9 G Am F": "piano | C:maj | G:maj | A:min | F:maj",
    "guitar C-G-Am-F": "guitar | C:maj | G:maj | A:min | F:maj",
    "piano F♯m": "piano | F#:min",
    "piano C major": "piano | C:maj",
    "organ I V vi IV": "organ | C:maj | G:maj | A:min | F:maj",
    "guitar C7#9 F13": "guitar | C:7 | F:9",
    "piano Bø E7": "piano | B:hdim7 | E:7",
    "piano CΔ7": "piano | C:maj7",
    "strings NC, C, G": "strings | N | C:maj | G:maj",
    # words
    "F# minor": " | F#:min",
    "B flat": " | Bb:maj",
    "B flat major 7": " | Bb:maj7",
    "E♭ major": " | Eb:maj",
    "C sharp minor": " | C#:min",
    "B-flat": " | Bb:maj",
    "A minor chord on piano": "piano | A:min",
    "F half diminished": " | F:hdim7",
    "C minor seventh, F dominant 7th": " | C:min7 | F:7",
    "C over E": " | C:maj/3",
    "A minor 7 flat 5": " | A:hdim7",
    "The piano plays C major then G major.": "The piano | C:maj | G:maj",
    "piano C MAJOR": "piano | C:maj",
    # instruments: before the chords, behind them with a word or brackets, or before a colon, whatever they are called
    "piano: C G": "piano | C:maj | G:maj",
    "piano, C": "piano | C:maj",
    "Cmaj (piano)": "piano | C:maj",
    "piano (C G)": "piano | C:maj | G:maj",
    "C G on a grand piano": "grand piano | C:maj | G:maj",
    "Am F for solo guitar": "solo guitar | A:min | F:maj",
    "e-piano C": "e-piano | C:maj",
    "FM synth: C G": "FM synth | C:maj | G:maj",
    "Bb clarinet: C F": "Bb clarinet | C:maj | F:maj",
    "Instrument: piano, chords: C G": "piano | C:maj | G:maj",
    "a guitar A": "a guitar | A:maj",
    "solo A E D": "solo | A:maj | E:maj | D:maj",
    "playing a C chord then a G chord": " | C:maj | G:maj",
    "12-string guitar C": "12-string guitar | C:maj",
    "violin and piano C": "violin and piano | C:maj",
    "guitar (clean) C": "guitar (clean) | C:maj",
    "piano:C G": "piano | C:maj | G:maj",
    "please play C on the piano": "piano | C:maj",
    "[Verse] C G [Chorus] F": " | C:maj | G:maj | F:maj",
    "F M7": " | F:maj7",
    # what stands between chords
    "Am - F - C - G": " | A:min | F:maj | C:maj | G:maj",
    "C > G > Am": " | C:maj | G:maj | A:min",
    "C→G": " | C:maj | G:maj",
    "C->G": " | C:maj | G:maj",
    "C–G": " | C:maj | G:maj",
    "C- F-": " | C:min | F:min",
    "C-G-Am-7": " | C:maj | G:maj | A:min7",
    "C, G; Am. F": " | C:maj | G:maj | A:min | F:maj",
    "C\nG": " | C:maj | G:maj",
    "G7 to C": " | G:7 | C:maj",
    "from C to G": " | C:maj | G:maj",
    "C/G Am/C": " | C:maj/5 | A:min/b3",
    "Dm7 / G7 / Cmaj7": " | D:min7 | G:7 | C:maj7",
    "C:maj7 | D:min7": " | C:maj7 | D:min7",
    "| C | G | Am F |": " | C:maj | G:maj | A:min,F:maj",
    "C,G,Am": " | C:maj,G:maj,A:min",
    "[C] [G]": " | C:maj | G:maj",
    '"C" "G"': " | C:maj | G:maj",
    "C7 (b9)": " | C:7",
    "C:(1,3,5,9) G": " | C:maj | G:maj",
    # signs
    "Amadd9": " | A:min",
    "C( G&": " | C:maj | G:maj",
    "E 7#9": " | E:7",
    "E7(#9, b13) Am": " | E:7 | A:min",
    "C♮": " | C:maj",
    "ｐｉａｎｏ　Ｃ　Ｇ": "piano | C:maj | G:maj",
    "piano\u00a0C\u200b G": "piano | C:maj | G:maj",
    "🎹 C G": "🎹 | C:maj | G:maj",
    "G⁷": " | G:7",
    "N.C.": " | N",
    "Csus": " | C:sus4",
    "piano AM": "piano | A:maj",
    "X": " | X",
    # again
    "4 bars of C": " | C:maj | C:maj | C:maj | C:maj",
    "C*2 2xG": " | C:maj | C:maj | G:maj | G:maj",
    "C G (x2)": " | C:maj | G:maj | C:maj | G:maj",
    "C x2, G x2": " | C:maj | C:maj | G:maj | G:maj",
    "C G twice": " | C:maj | G:maj | C:maj | G:maj",
    "(C G)x2 Am": " | C:maj | G:maj | C:maj | G:maj | A:min",
    "C for 2 bars, G for 2 bars": " | C:maj | C:maj | G:maj | G:maj",
    "C % G .": " | C:maj | C:maj | G:maj | G:maj",
    "||: C | G :||": " | C:maj | G:maj | C:maj | G:maj",
    "|: C | G :| x3": " | C:maj | G:maj | C:maj | G:maj | C:maj | G:maj",
    "| C . . G |": " | C:maj,C:maj,C:maj,G:maj",
    "| C / / / | G / / / |": " | C:maj | G:maj",
    # numerals
    "I-V-vi-IV in G": " | G:maj | D:maj | E:min | C:maj",
    "ii V I in B flat": " | C:min | F:maj | Bb:maj",
    "i iv V7 i in A minor": " | A:min | D:min | E:7 | A:min",
    "bVII": " | Bb:maj",
    "V/V": " | D:maj",
    "viio7": " | B:dim7",
    "Imaj7": " | C:maj7",
    "G: I V vi IV": " | G:maj | D:maj | E:min | C:maj",
    "key of E flat: I6 V65": " | Eb:maj/3 | Bb:7/3",
    "i VI III VII": " | C:min | Ab:maj | Eb:maj | Bb:maj",
    "vi IV I V in E": " | C#:min | A:maj | E:maj | B:maj",
    "i viio VII in a minor": " | A:min | G#:dim | G:maj",
    "Ⅰ Ⅴ ⅵ Ⅳ": " | C:maj | G:maj | A:min | F:maj",
    # English among them
    "I love piano C G": "I love piano | C:maj | G:maj",
    "i want a piano C": "i want a piano | C:maj",
    "C G Am F in C major": " | C:maj | G:maj | A:min | F:maj",
    # by those who come with fresh eyes
    "piano C⟶G↔Am F": "piano | C:maj | G:maj | A:min | F:maj",
    "piano C&G&Am F": "piano | C:maj | G:maj | A:min | F:maj",
    "guitar С G Ам В7": "guitar | C:maj | G:maj | A:min | B:7",  # Cyrillic but for the G
    "piano C.minor G—major": "piano | C:min | G:maj",
    "C minor7, F half-dim, G dominant seven": " | C:min7 | F:hdim7 | G:7",
    "C 4 beats, 2 beats of G (2 beats)": " | C:maj | G:maj",
    "piano C at 90 beats per minute": "piano | C:maj",
    "lo-fi beats C": "lo-fi beats | C:maj",
    "piano 120 bpm C in 3/4": "piano | C:maj",
    "piano C for 10 seconds": "piano | C:maj",
    "piano in C to G": "piano | C:maj | G:maj",
}
#: What is typed -> what it is told to write instead, each of which can be read.
REFUSED = {
    "Am I": ["Am Cmaj"],
    "C-Dur": ["Cmaj"],
    "a-Moll": ["Amin"],
    "Es-Dur": ["Ebmaj"],
    "la mineur": ["Amin"],
    "fa dièse mineur": ["F#min"],
    "do re mi": ["C D E"],
    "piano Sol7": ["piano G7"],
    "Hm": ["Bm"],
    "H7": ["B7"],
    "piano Hmaj": ["piano Bmaj"],
    "C/H": ["C/B"],
    "c g am f": ["C G Am F"],
    "cmaj": ["Cmaj"],
    "emin": ["Emin"],
    "piano Cmni G": ["piano Cmin G"],
    "H minor": ["Bmin"],
    "Hadd9 E": ["Badd9 E"],
    "H-dur": ["Bmaj"],
    "C2 G2": ["C G", "Csus2 Gsus2"],
    "Em /D /C": ["Em Em/D Em/C"],
    "piano c": ["piano C"],
    "piano am": ["piano Am"],
    "piano a minor": ["piano Amin"],
    "f#m g": ["F#m G"],
    "C4": ["C", "Csus4"],
    "C/E/G": ["C E G", "C/E"],
    "CGAF": ["C G A F"],
    "piano Cmaj, followed by Fmoj": ["piano Cmaj Fmaj"],
    "piano Fmoj": ["piano Fmaj"],
    "piano C:mjj": ["piano Cmaj"],
    "C G,K A": ["C G A"],
    "Gsus24x C": ["Gsus2 C"],
    "C piano": ["piano C"],
    "C G Am F piano": ["piano C G Am F"],
    "C G foo": ["foo C G"],
    "Bb clarinet C F": ["clarinet Bb C F", "Bb clarinet: C F"],
    "FM synth C": ["synth FM C", "FM synth: C"],
    "guitar A solo": ["guitar solo A"],
    "a minor piano C G": ["piano C G"],
    "piano in C Am F": ["piano C Am F", "piano: Am F"],
    "G: C D": ["Gmaj C D", "piano: C D"],
    "C / G": ["C/G", "C G"],
    "C G x2": ["C G G", "C G C G"],
    "C G for 4 bars": ["C G C G", "C C G G"],
    "1 5 6 4 in G": ["I V vi IV in G"],
    "piano C#b G": ["piano C G"],
    "Cmaj77": ["Cmaj7"],
    "piano C777 G": ["piano C G"],
    "piano Cmm": ["piano Cm7"],
    "piano 2C 2G Am": ["piano C G Am"],
    "N6 V i": ["bII6 V i"],
    "Ger65 V": ["bVI7 V"],
    "piano It6 V": ["piano bVI7 V"],
    "piano Cad64 V": ["piano I64 V"],
    "I IV V in D dorian": ["I IV V in D minor"],
    "I V in C, I V in G": ["I V I V in C"],
    "V/V/V": ["V"],
}
#: Free words, some of which might be chords elsewhere.
FREE = [
    "dreamy music",
    "80s pop track with bassy drums and synth",
    "a light and cheerly EDM track, with syncopated drums, airy pads, and strong emotions bpm: 130",
    "A piano",
    "A sad song",
    "Beethoven sonata no. 14 in C sharp minor",
    "a sad piano in A minor at 90 bpm",
    "12 bar blues in E",
    "Piano in C",
    "I am so sad, piano ballad",
    "You and me",
    "a Hammond B3 organ and Leslie speaker",
    "TR-808, TB-303 and a DX7",
    "AC/DC style guitar",
    "in the style of ABBA",
    "rap by Eminem",
    "Earth, Wind & Fire style funk",
    "drum and bass beat",
    "modern R and B",
    "C-64 chiptune",
    "G-funk",
    "e-bow",
    "120 bpm",
    "in 3/4",
    "sad song in a minor key",
    "4/4 100bpm 320kbps",
    "la vie en rose",
    "Hmm, Hal",
    "a game in 3D",
]


@pytest.mark.parametrize("text", READ)
def test_what_people_write(text):
    assert harte(text) == READ[text]


@pytest.mark.parametrize("text", REFUSED)
def test_what_cannot_be_meant_is_refused_with_what_to_write_instead(text):
    with pytest.raises(PromptError) as refusal:
        parse(text)
    assert re.findall("`([^`]+)`", str(refusal.value).split("; did you mean ")[1]) == REFUSED[text]
    assert "\n" not in str(refusal.value) and all(parse(instead).bars for instead in REFUSED[text])


@pytest.mark.parametrize("text", FREE)
def test_free_words_are_free_and_name_no_chord(text):
    assert not parse(text).bars
    with pytest.raises(PromptError, match="no chord is named; did you mean"):
        require_chords(text)


def test_what_has_no_chord_is_told_the_nearest_that_has():
    for text, instead in (
        ("A piano", "`piano A`"),
        ("a sad piano in A minor at 90 bpm", "`a sad piano Amin` or `a sad piano i iv V i in A minor`"),
        ("N.C.", "`Cmaj`"),
        ("12 bar blues in E", "`12 bar blues I7 I7 I7 I7 IV7 IV7 I7 I7 V7 IV7 I7 V7 in E`"),
        ("X", "`Cmaj`"),
        ("organ", "`organ Cmaj`"),
    ):
        with pytest.raises(PromptError, match=re.escape(f"did you mean {instead}?")):
            require_chords(text)


@pytest.mark.parametrize(
    "text, remarks",
    [
        ("piano CMajor", []),
        ("guitar C7#9 F13", ["C7#9 is reduced to C:7", "F13 is reduced to F:9"]),
        ("I V", ["no key is named: the numerals are read in C major"]),
        ("i V13", ["no key is named: the numerals are read in C minor", "V13 (G13) is reduced to G:9"]),
        ("I V in G", []),
        ("C G in C major", ["`in C major` (a key) is not used"]),
        ("C 4 beats, G", ["`4 beats` (a length in beats; give bars) is not used"]),
        (
            "piano C G at 90 bpm in 3/4 for 10 seconds",
            ["`at 90 bpm` (a tempo) is not used", "`in 3/4` (a metre) is not used", "`for 10 seconds` (a length; give --seconds) is not used"],
        ),
    ],
)
def test_what_was_reduced_assumed_or_is_not_used_is_remarked(text, remarks):
    assert list(parse(text).remarks) == remarks
    assert parse(text) == Prompt(parse(text).instrument, parse(text).bars)  # remarks are no part of what is asked


@pytest.mark.parametrize(
    "heldout, expected",
    [
        (["piano C", "guitar Hm"], "params.yaml: demos.heldout.1: in 'guitar Hm': 'Hm' is no chord name; did you mean `guitar Bm`?"),
        (["Piano in C"], "params.yaml: demos.heldout.0: in 'Piano in C' no chord is named; did you mean `Piano Cmaj` or `Piano I IV V I in C major`?"),
        ([{"piano": "C G"}], 'params.yaml: demos.heldout.0: a prompt with a colon needs quotes: "piano: C G"'),
        ([3], "params.yaml: demos.heldout.0: Input should be a valid string, got 3"),
    ],
)
def test_params_say_file_and_key_of_a_prompt_that_cannot_be(heldout, expected):
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    values["demos"]["heldout"] = heldout
    with pytest.raises(ParamsError) as refusal:
        check(values)
    assert str(refusal.value) == expected
    with pytest.raises(ParamsError, match="demos.heldout"):
        section("demos", json.dumps(values["demos"]))


def test_the_same_training_twice_is_no_evidence():
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    values["evidence"]["train_seeds"] = [4, values["train"]["seed"]]
    with pytest.raises(ParamsError, match=r"evidence\.train_seeds must differ from one another and from train\.seed, 3"):
        check(values)


def test_prompts_without_chords_name_none():
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    values["demos"]["text_only"] = ["piano", "piano C"]
    with pytest.raises(ParamsError, match=r"demos.text_only.1: 'piano C' names chords; expected a prompt without, such as 'piano'"):
        check(values)


@pytest.mark.parametrize(
    "text, kind, cadence",
    [
        ("piano Cmaj, followed by G7, and Cmaj", "sevenths", "authentic"),
        ("C Am7/G F", "inversions", None),
        ("C F C", "triads", "plagal"),
        ("Am F C", "triads", None),  # IV-I, or I-V
        ("C G", "triads", None),
        ("Dm E Am", "triads", "authentic"),
        ("C G:min C", "triads", None),
        ("C Gsus4 C", "suspended, diminished, augmented", None),
        ("F C", "triads", None),  # two chords close nothing
        ("C Bdim C", "suspended, diminished, augmented", "authentic"),
        ("piano C G,F C", "two a bar", "plagal"),
        ("C", "triads", None),
    ],
)
def test_what_sort_of_harmony_a_prompt_asks_for(text, kind, cadence):
    assert (kind_of(parse(text)), closing(parse(text).chords)) == (kind, cadence)


def test_frozen_sets_have_every_sort_and_share_nothing():
    triads = {}
    for name, count in (("test", 40), ("dev", 20)):
        rows = read_table(ROOT / f"workflow/prompts/{name}.tsv", COLUMNS)
        prompts = [parse(row["prompt"]) for row in rows]
        assert len(set(read_set(ROOT / f"workflow/prompts/{name}.tsv"))) == count
        for row, prompt in zip(rows, prompts):
            told = kind_of(prompt), str(len(prompt.chords)), prompt.instrument, phrasing_of(row["prompt"], prompt)
            assert told == tuple(row[column] for column in COLUMNS[1:])
        assert {row["kind"] for row in rows} == set(KINDS) and {row["phrasing"] for row in rows} == set(PHRASINGS)
        assert {row["instrument"] for row in rows} == {"piano", "guitar", "ukulele", "organ", "strings"} and {row["chords"] for row in rows} == set("345678")
        assert sum(closing(prompt.chords) is not None for prompt in prompts) >= count / 4
        triads[name] = {tuple((chord.pitch_class, chord.is_minor) for chord in prompt.chords) for prompt in prompts}
    assert not triads["test"] & triads["dev"]


def test_a_set_is_drawn_alike_again_and_without_what_is_known(tmp_path, capsys):
    words = ["draw-prompts", "--count", "10", "--seed", "5", "--instruments", "piano", "organ"]
    for name in ("one", "two"):
        assert main([*words, "--out", str(tmp_path / f"{name}.tsv")]) == 0
    assert (tmp_path / "one.tsv").read_bytes() == (tmp_path / "two.tsv").read_bytes()
    assert main([*words, "--not-in", str(tmp_path / "one.tsv"), "--out", str(tmp_path / "other.tsv")]) == 0
    assert not set(read_set(tmp_path / "one.tsv")) & set(read_set(tmp_path / "other.tsv"))


@pytest.mark.parametrize(
    "text, expected",
    [
        ("prompt\n", "set.tsv: no prompt in it; expected one a line below the heading `prompt`"),
        ("promt\npiano C\n", "set.tsv: expected the columns prompt; prompt missing"),
        ("prompt\npiano C\npiano Hm\n", "set.tsv: line 3: in 'piano Hm': 'Hm' is no chord name; did you mean `piano Bm`?"),
        ("prompt\npiano C\npiano C\n", "set.tsv: line 3: 'piano C' is there twice"),
    ],
)
def test_a_set_that_cannot_be_read_says_where(tmp_path, monkeypatch, text, expected):
    monkeypatch.chdir(tmp_path)
    Path("set.tsv").write_text(text)
    with pytest.raises(UserError) as refusal:
        read_set("set.tsv")
    assert str(refusal.value) == expected


def test_seeds_that_no_generator_takes_are_refused():
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    values["demos"]["seeds"], values["train"]["seed"] = [1, -1], 2**32
    with pytest.raises(ParamsError, match=r"train\.seed: .*4294967295, got 4294967296; .*demos\.seeds\.1: .*greater than or equal to 0, got -1"):
        check(values)


def test_silence_is_played_and_judged():
    prompt = parse("strings NC, C, G, NC")
    sound = perform(prompt, 8.0, soundfont(None), np.random.default_rng(1))
    loudness = np.abs(sound[: 4 * len(sound) // 4].reshape(4, -1)).mean(1)
    assert loudness[0] == 0 < loudness[1:3].min()
    asked = align(prompt, [(0.0, 2.0, Chord("N", "")), (2.0, 8.0, Chord("C"))], 8.0, 0.8)
    assert [chord.harte for _, _, chord in asked] == ["N", "C:maj", "G:maj", "N"]


def test_the_demos_model_is_told_today_what_it_learned():
    """Tokens of the text encoder: words, then root, quality, bass and frames of each chord."""
    from ostinato.lm.text import ChordTextEncoder, describe

    encoder = ChordTextEncoder(load(ROOT / "params.yaml").model, 8, 25.0)
    for text, same in (("ukulele Cmaj, followed by Fmaj", "ukulele I IV in C at 90 bpm"), ("piano Am G", "piano A minor > G major")):
        assert encoder.tokenize([describe(text, 10.0)])[0].tolist() == encoder.tokenize([describe(same, 10.0)])[0].tolist()
    tokens = encoder.tokenize([describe("piano CMajor", 3.0)])[0][0].tolist()
    assert tokens == [[25, 0, 0, 0, 0, 75], [0, 0, 0, 0, 0, 75]]


def test_when_each_chord_is_due_is_said():
    assert spans(parse("piano C G,Am"), 10) == "piano: C:maj 0-5 s, G:maj 5-7.5 s, A:min 7.5-10 s"
    assert spans(parse("C " * 100), 10).endswith("and 36 more")


@pytest.mark.parametrize(
    "text", ["a" * 10000, "C " * 5000, "C-" * 5000, "C/" * 5000, "(" * 10000, "1 " * 5000, "do " * 3300, "C x2 " * 2000, "'" * 10000, "C:(1," + "5," * 3000 + ")"]
)
def test_ten_thousand_characters_take_no_time_and_no_page(text):
    start = time.perf_counter()
    try:
        assert isinstance(parse(text), Prompt)
    except PromptError as error:
        assert len(str(error)) < 400
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize("text", ["", "  ", "...", "?!", "|", None, 3])
def test_what_says_nothing_is_refused(text):
    with pytest.raises(PromptError, match="a prompt must be text|no word is said"):
        parse(text)


@pytest.mark.parametrize("mode", ["major", "minor"])
@pytest.mark.parametrize("tonic", ["C", "Eb", "F#"])
def test_numerals_are_read_as_they_are_written(tonic, mode):
    for root in COMMON:
        for quality in QUALITIES.keys() - {"9", "maj9", "min9", "1"}:  # which `roman` writes as what they extend
            for bass in (0, QUALITIES[quality][1]):
                chord = Chord(root, quality, bass)
                if mode == "minor" and "dim" in quality and (chord.pitch_class - pitch_class(tonic)) % 12 in (8, 10):
                    continue  # a diminished vi or vii is meant on the raised degree
                said = roman(chord, Key(pitch_class(tonic), mode))
                assert read_numeral(said, Tonality(tonic, mode)).chord.same_sound(chord), (said, chord)


def prompts() -> list[Prompt]:
    rng = np.random.default_rng(0)
    roots = ("C", "C#", "Db", "D", "Eb", "E", "F", "F#", "Gb", "G", "Ab", "A", "Bb", "B")

    def chord() -> Chord:
        return Chord(str(rng.choice(roots)), str(rng.choice(list(QUALITIES))), int(rng.choice([0, 0, 0, 3, 4, 7, 10])))

    made = [Prompt(str(rng.choice(["", "piano", "electric guitar"])), tuple(tuple(chord() for _ in range(rng.integers(1, 3))) for _ in range(n))) for n in range(1, 40)]
    made += [Prompt(name, ((chord(),), (chord(),))) for name in ("Bb clarinet", "FM synth", "B movie piano", "Rock N Roll guitar")]  # called like chords
    return made + [Prompt("ukulele", ((chord(),),) * n) for n in (1, 4)] + [Prompt("strings", tuple((chord(),) for _ in range(5)))]


def test_every_phrasing_is_read_back_to_the_same_prompt():
    said = 0
    for prompt in prompts():
        for phrasing in PHRASINGS:
            if phrasing in ("bars", "harte") or all(len(bar) == 1 for bar in prompt.bars):
                assert parse(format_prompt(prompt, phrasing)) == prompt, format_prompt(prompt, phrasing)
                said += 1
        assert parse(draw_phrasing(prompt, np.random.default_rng(1))) == prompt
    assert said > 80


def test_words_that_are_nothing_but_harmony_are_no_instrument():
    assert is_instrument("Bb clarinet") and is_instrument("a sad piano") and not is_instrument("piano Cmaj") and not is_instrument("A minor")


def test_the_same_seed_draws_the_same_phrasing_and_other_seeds_others():
    prompt = parse("piano C, F, G")
    drawn = [draw_phrasing(prompt, np.random.default_rng(seed)) for seed in range(40)]
    assert drawn == [draw_phrasing(prompt, np.random.default_rng(seed)) for seed in range(40)]
    assert len(set(drawn)) == len(PHRASINGS)


@pytest.mark.parametrize(
    "text, named",
    [
        ("piano Hmaj", "Hmaj"),
        ("piano Cmaj, followed by Fmoj", "Fmoj"),
        ("C G,K A", "G,K"),
        ("", "''"),
        ("piano C:mjj", "C:mjj"),
        ("C/H", "C/H"),
    ],
)
def test_what_is_no_chord_is_named(text, named):
    with pytest.raises((PromptError, ChordError), match=named):
        parse(text)


def test_chords_and_keys_know_their_notes():
    assert Chord.parse("C:maj7/3").pitch_classes == (0, 4, 7, 11) and Chord.parse("C:maj7/3").bass_pitch_class == 4
    assert Chord.parse("C/E") == Chord.parse("C:maj/3")
    assert Chord.parse("C#m").same_sound(Chord.parse("Dbmin")) and not Chord.parse("C").same_sound(Chord.parse("C7"))
    assert Chord.parse("Bb").transpose(2).harte == "C:maj"
    assert Key.parse("A:minor").scale == (9, 11, 0, 2, 4, 5, 7)
