"""All networks that listen, by the name of the ear."""

from __future__ import annotations

from torch import nn

from ostinato.ears.beat_net import BeatNet
from ostinato.ears.instrument_net import InstrumentNet
from ostinato.ears.nets import PitchNet, RecurrentNet

NETWORKS: dict[str, type[nn.Module]] = {"labeller": PitchNet, "judge": RecurrentNet, "instruments": InstrumentNet, "beats": BeatNet}
