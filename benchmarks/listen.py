"""How well the listener hears songs whose truth is known, per instrument: python benchmarks/listen.py AUDIO TRUTH [--songs N]

Chords: mir_eval's duration-weighted majmin and sevenths; bars: downbeat F-measure (70 ms); borders: section F-measure (0.5 s); key: mirex score;
tempo: within 4 %. Ends with one line of JSON.
"""

import argparse
import json
import time
import warnings
from pathlib import Path

import mir_eval
import numpy as np

from ostinato.corpus.recordings import read
from ostinato.listen.hear import hear
from ostinato.params import load


def judge(audio: Path, truth: dict, params) -> dict[str, float]:
    """Scores 0-1 of one song."""
    samples, rate = read(audio, sample_rate=params.sample_rate)
    begun = time.process_time()
    heard = hear(samples, rate, params)
    spent = time.process_time() - begun
    asked = np.array([chord[:2] for chord in truth["chords"]])
    labels = [chord[2] for chord in truth["chords"]]
    intervals = np.array([chord[:2] for chord in heard.chords])
    scores = mir_eval.chord.evaluate(asked, labels, intervals, [chord.harte for _, _, chord in heard.chords])
    beats = mir_eval.beat.f_measure(np.array(truth["downbeats"]), heard.downbeats, 0.07)
    sections = [np.array([section[:2] for section in value]) for value in (truth["sections"], heard.sections)]
    borders = mir_eval.segment.detection(*sections, window=0.5, trim=True)[2]
    key = mir_eval.key.weighted_score(truth["key"].replace(":", " "), str(heard.key).replace(":", " "))
    return {"majmin": scores["majmin"], "sevenths": scores["sevenths"], "root": scores["root"], "bars": beats, "borders": borders, "key": key,
            "tempo": float(abs(heard.tempo / truth["tempo"] - 1) < 0.04), "cpu_s_per_min": spent / heard.duration * 60}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("audio", type=Path)
    parser.add_argument("truth", type=Path)
    parser.add_argument("--songs", type=int, default=1000)
    parser.add_argument("--params", default="params.yaml")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    params, rows = load(args.params).listen, {}
    for audio in sorted(args.audio.glob("*.flac"))[: args.songs]:
        truth = json.loads((args.truth / f"{audio.stem}.json").read_text())
        rows.setdefault(truth["instrument"], []).append(judge(audio, truth, params))
    rows["all"] = [row for group in list(rows.values()) for row in group]
    means = {name: {key: round(float(np.mean([row[key] for row in group])), 3) for key in group[0]} for name, group in rows.items()}
    print(f"{'':10}" + "".join(f"{key:>14}" for key in means["all"]))
    for name, values in means.items():
        print(f"{name:10}" + "".join(f"{value:14.3f}" for value in values.values()))
    print(json.dumps({"benchmark": "listen", "songs": len(rows["all"]), **means["all"]}))


if __name__ == "__main__":
    main()
