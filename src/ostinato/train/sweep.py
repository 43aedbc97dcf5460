"""Sweeps: which runs a plan and lists of values ask for. Imports no torch: Snakemake calls this while it plans."""

from __future__ import annotations

from itertools import product
from typing import TypeVar

from ostinato.params.blocks import Schedule, Sweep

Kind = TypeVar("Kind", bound=Schedule)


def plans(plan: Kind, sweep: Sweep) -> list[Kind]:
    """Every combination of the sweep's lists, as plans; the k-th run follows the k-th.

    The last list varies fastest. An empty list keeps the plan's value, and with all lists empty there is one run, the plan itself.
    A plan has either steps or epochs: values of `epochs` take the place of `steps`.
    """
    lists = {name: values for name, values in sweep.model_dump().items() if values}
    kept = plan.model_dump() | ({"steps": None} if sweep.epochs else {})
    return [type(plan).model_validate(kept | dict(zip(lists, values))) for values in product(*lists.values())]
