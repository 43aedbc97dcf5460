"""Names of instruments: what is asked for, what obeys it, how several are said and read back."""

import itertools

import numpy as np
import pytest

from ostinato.harmony.chords import Chord
from ostinato.harmony.instruments import FAMILIES, OBEYED, asked, obeyed_by, series
from ostinato.harmony.prompts.prompt import PHRASINGS, Prompt, format_prompt, is_instrument, parse

BARS = ((Chord("C"),), (Chord("G"),)), ((Chord("A", "min"),),)


@pytest.mark.parametrize(
    ("words", "names", "families"),
    [
        ("piano", ["piano"], [("piano",)]),
        ("a grand piano and warm Strings", ["piano", "strings"], [("piano",), ("strings",)]),
        ("guitar", ["guitar"], [("acoustic guitar", "electric guitar", "distorted guitar")]),
        ("electric guitars, bass, and drums", ["electric guitar", "bass", "drums"], [("electric guitar", "distorted guitar"), ("bass",), ("drums",)]),
        ("bass guitar", ["bass guitar"], [("bass",)]),
        ("sad music", [], []),
    ],
)
def test_names_are_found_in_free_words(words, names, families):
    assert asked(words) == names and [obeyed_by(name) for name in names] == families


def test_every_name_leads_to_families_that_there_are():
    assert all(set(families) <= set(FAMILIES) for families in OBEYED.values())
    assert all(asked(name) == [name] for name in FAMILIES)


def test_every_series_of_families_is_read_back_in_every_phrasing():
    rng = np.random.default_rng(0)
    drawn = [[name] for name in FAMILIES] + [[FAMILIES[k] for k in sorted(rng.permutation(17)[:count])] for count in (2, 3, 4) for _ in range(6)]
    for names, bars in itertools.product(drawn, BARS):
        assert is_instrument(series(names)) and asked(series(names)) == names
        for phrasing in PHRASINGS:
            prompt = Prompt(series(names), bars)
            assert parse(format_prompt(prompt, phrasing)) == prompt


@pytest.mark.parametrize(
    ("text", "instrument"),
    [
        ("piano and strings Cmaj, followed by Gmaj", "piano and strings"),
        ("bass, guitar and drums C G", "bass, guitar and drums"),
        ("C G on piano, bass, and drums", "piano, bass, and drums"),
        ("Piano, bass, drums: C G", "Piano, bass, drums"),
        ("piano and strings, C, G", "piano and strings"),
        ("warm, mellow piano C", "warm mellow piano"),
    ],
)
def test_commas_tell_names_apart_and_nothing_else(text, instrument):
    assert parse(text).instrument == instrument
