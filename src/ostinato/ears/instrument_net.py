"""What plays, second by second: a convolutional network over fine mel bands, with an answer of its own for each family.

In: `features.fine` [B, T, FINE_BANDS], divided by `fine_loudness` of the recording. Out: logits [B, seconds, FAMILIES], of each family whether it sounds in that second; T
is cut to whole seconds, and a shorter clip counts as one. A second is judged by the two before and after it as well. The weights carry `thresholds` [FAMILIES]: from which
probability on a name is said, chosen on validation clips (train.tasks.instruments).
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from ostinato.ears.features import FINE_BANDS, FINE_RATE
from ostinato.harmony.instruments import FAMILIES

#: Magnitudes are compressed as log(1 + COMPRESSION * x).
COMPRESSION = 100.0
#: Channels of the four layers that `embed` consists of, and frames in a second after them.
WIDTHS, STEPS = (24, 48, 64, 64), FINE_RATE // 4
HIDDEN = 176


class InstrumentNet(nn.Module):
    """See the module."""

    thresholds: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        one, two, three, four = WIDTHS
        self.layers = nn.Sequential(
            *_layer(2, one, (5, 3), (2, 1)),
            *_layer(one, two, (3, 3), (2, 2)),
            *_layer(two, three, (3, 3), (2, 1)),
            *_layer(three, four, (3, 3), (2, 2)),
        )
        self.bands = nn.Sequential(nn.Conv2d(four, HIDDEN, (FINE_BANDS // 16, 3), padding=(0, 1), bias=False), nn.BatchNorm2d(HIDDEN), nn.ReLU())
        self.context = nn.ModuleList([nn.Conv1d(2 * HIDDEN, HIDDEN, 3, padding=1), nn.Conv1d(HIDDEN, HIDDEN, 3, padding=1)])
        self.dropout = nn.Dropout(0.2)
        self.out = nn.Linear(3 * HIDDEN, len(FAMILIES))
        self.register_buffer("thresholds", torch.full((len(FAMILIES),), 0.5))

    def forward(self, spectrum: torch.Tensor) -> torch.Tensor:
        missing = FINE_RATE - spectrum.shape[1] if spectrum.shape[1] < FINE_RATE else 0
        whole = functional.pad(spectrum, (0, 0, 0, missing))
        x = self.bands(self.embed(whole[:, : whole.shape[1] // FINE_RATE * FINE_RATE]))[:, :, 0]
        seconds = x.unflatten(2, (-1, STEPS))
        now = torch.cat([seconds.mean(dim=3), seconds.amax(dim=3)], dim=1)
        around = functional.relu(self.context[0](now))
        around = around + functional.relu(self.context[1](self.dropout(around)))
        return self.out(self.dropout(torch.cat([now, around], dim=1).transpose(1, 2)))

    def embed(self, spectrum: torch.Tensor) -> torch.Tensor:
        """What is known of timbre before bands are joined and families named: [B, 64, FINE_BANDS / 16, T / 4]."""
        x = torch.log1p(COMPRESSION * spectrum).transpose(1, 2)[:, None]
        contrast = x - functional.avg_pool2d(x, (25, 1), stride=1, padding=(12, 0))
        return self.layers(torch.cat([x, contrast], dim=1))


def _layer(channels: int, width: int, size: tuple[int, int], stride: tuple[int, int]) -> list[nn.Module]:
    """Convolution over bands and time."""
    padding = (size[0] // 2, size[1] // 2)
    return [nn.Conv2d(channels, width, size, stride=stride, padding=padding, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
