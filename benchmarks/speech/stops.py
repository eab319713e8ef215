"""What the stop spotter misses and takes for a stop: ``python -m benchmarks.speech.stops``.

And what of an hour's talk is taken for a stop by its words, whether or not the spotter did.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from benchmarks.speech.recognition import listen, make_recogniser, stops
from hierarchy_nodes.files import write_json
from hierarchy_nodes.learning.stop.data import COMMAND, TALK, ClipOptions, Clips, speak
from hierarchy_nodes.learning.stop.measure import measure, talk
from hierarchy_nodes.learning.words.phrases import NAMES
from hierarchy_nodes.speech.config import SpeechConfig
from hierarchy_nodes.speech.spotter.options import SpotterOptions
from hierarchy_nodes.speech.spotter.spotter import StopSpotter

# Far from every seed of training.
SEED = 1_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", default="", help="ONNX file; default: the packaged one")
    parser.add_argument("--threshold", type=float, default=0.0, help="default: as trained")
    parser.add_argument("--alone", action="store_true", help="nothing confirms what it hears")
    parser.add_argument("--count", type=int, default=600, help="stops in each surrounding")
    parser.add_argument("--minutes", type=float, default=60.0, help="of talk, babble, motors")
    parser.add_argument("--out", type=Path, default=Path("runs/stop_measured"))
    a = parser.parse_args()
    options = ClipOptions(stops=a.count, around=400, near=600, commands=300, talk=600)
    clips = speak(a.out / "clips.npz", options, SEED, "measured", sys.stderr.isatty())
    confirmed = SpotterOptions.confirm_stop and not a.alone
    spotter = StopSpotter(SpotterOptions(a.weights, a.threshold, confirm_stop=confirmed))
    found = measure(spotter, clips, a.count, a.minutes, SEED, lambda what: print(f"{what} ..."))
    print("talk, by words ...")
    found["talk"]["by words"] = by_words(clips, a.minutes)
    write_json(a.out / "stops.json", found)
    print(json.dumps(found, indent=1))


def by_words(clips: Clips, minutes: float) -> list[str]:
    """What is taken for a stop once it is recognised, of the same talk that the spotter hears."""
    recogniser = make_recogniser(SpeechConfig().recogniser, {})
    said = talk(clips, minutes, SEED + 1, (COMMAND, TALK))
    heard = (h.text for minute in said for h in listen(minute, recogniser, NAMES))
    return [text for text in heard if stops(text)]


if __name__ == "__main__":
    main()
