"""The settings of a release in words: what each value on the receipt means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_MEANINGS = {
    "recipe": "how rows were made",
    "n_cells": "cells that a column of numbers was cut into",
    "clip_norm": "bound on the length of an encoded row, which limits what one row can change",
    "per_class": "whether each class of the label was described by itself",
    "components_per_class": "groups of similar rows that were described, in each class",
    "min_cluster_size": "fewest rows that a group may hold",
    "labels": "how a drawn row got its label",
    "labels_learned": "labels with a learned function of their own",
    "labels_kept": "labels without one",
    "step_rate": "chance of each protected unit to be read where labels are learned",
    "support_size": "points from which the label function was learned",
    "n_groups": "groups of a column's values in the tables of all pairs",
    "n_tables": "pairs that were counted once more, in full detail",
    "second_share": "part of that stage's budget which the second count got",
    "mix_size": "rows that were averaged into one",
    "mix_clip_norm": "bound on how far a row may lie from the centre of its group",
}
_VALUES = {
    ("recipe", "draw"): "drawn from noisy histograms of groups",
    ("recipe", "draw-pairs"): "drawn from a model of noisy tables of pairs",
    ("recipe", "draw-wide"): "drawn from noisy means of the classes",
    ("recipe", "mix"): "noisy averages of similar rows",
    ("labels", "learned"): "by a learned function of the other columns",
    ("labels", "posterior"): "by the histograms of the other columns",
    ("labels", "component"): "as its group has it",
}


@dataclass(frozen=True)
class Setting:
    """One setting: its name, its value in words, and what it means; empty where nobody wrote it down."""

    name: str
    value: str
    meaning: str


def settings_in_words(resolved: Mapping[str, object]) -> list[Setting]:
    """Explains the values that `auto` settings took, in the receipt's order."""
    return [Setting(name, _value(name, value), _MEANINGS.get(name, "")) for name, value in resolved.items()]


def _value(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    return _VALUES.get((name, str(value)), f"{value:,}" if isinstance(value, int) else str(value))
