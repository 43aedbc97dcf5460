"""The sweep: which fine-tuning runs `train.tune` and the lists of `sweep` ask for. Imports no torch: Snakemake calls this while it plans."""

from __future__ import annotations

from itertools import product

from ostinato.params import Plan, Sweep


def plans(tune: Plan, sweep: Sweep) -> list[Plan]:
    """Every combination of the sweep's lists, as plans; run `tune-<k>` follows the k-th.

    The last list varies fastest. An empty list keeps the value of `tune`, and with all lists empty there is one run, `tune` itself.
    A plan has either steps or epochs: values of `epochs` take the place of `tune.steps`.
    """
    lists = {name: values for name, values in sweep.model_dump().items() if values}
    kept = tune.model_dump() | ({"steps": None} if sweep.epochs else {})
    return [Plan.model_validate(kept | dict(zip(lists, values))) for values in product(*lists.values())]
