"""Measures how values are written: two noisy sums beside the histograms, one for steps and one for spikes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from threea_spark.arrays import Float64Array
from threea_spark.encode.granularity import GranularityLayout, mixture_of
from threea_spark.encode.histogram import Field, Histograms
from threea_spark.encode.packing import Reader
from threea_spark.encode.quantiles import QuantileField
from threea_spark.encode.refining import Written
from threea_spark.encode.spikes import SpikeLook, Standout, standout
from threea_spark.encode.written import StepMixture
from threea_spark.engine.rows import SourceRows
from threea_spark.privacy.mechanism import Measured
from threea_spark.privacy.meter import PrivacyMeter


def n_spiking(fields: Sequence[Field]) -> int:
    """How many fields may be looked at for spikes: those of which some leaf holds several values."""
    return sum(field.has_leaves and not field.counts_every_value for field in fields)


def measure_written(
    rows: SourceRows,
    reader: Reader,
    histograms: Histograms,
    granularity: Measured | None,
    meter: PrivacyMeter,
    mu_spikes: float,
) -> list[Written | None]:
    """Reads the steps off their counts, looks for spikes where leaves stand out, and reads the steps once more.

    Args:
      rows: Canonical columns. PRIVATE.
      reader: Says where the fields are read.
      histograms: Of all fields.
      granularity: Counts of steps, if any were asked for.
      meter: Answers the query.
      mu_spikes: Price of the second look; 0 where there is none.

    Returns:
      One for each field; None for one that is no number on a tree.
    """
    numbers = _numbers(reader.fields, histograms, granularity)
    found = {place: own.standout(histograms.stddev) for place, own in numbers.items()}
    looked = {place: own for place, own in found.items() if own.looked}
    spikes = {place: own.without_look for place, own in found.items()}
    if looked and mu_spikes:
        look = SpikeLook(tuple(numbers[place].field for place in looked), tuple(looked.values()))
        query = look.query(lambda batch: reader.values_of(batch, tuple(looked)))
        counts = meter.ask(query, rows, mu_spikes)
        spikes |= zip(looked, look.found(counts.value, counts.stddev, histograms.n_rows), strict=True)
    written: list[Written | None] = [None] * len(reader.fields)
    for place, own in spikes.items():
        known = zip(own.values.tolist(), own.rows.tolist(), strict=True)
        written[place] = Written(numbers[place].mixture([*known, *found[place].excess]), own)
    return written


@dataclass(frozen=True)
class _Number:
    """What was read of a number. RELEASED.

    Attributes:
      field: The number.
      leaf_rows: Readings of its leaves, shape (n_leaves,).
      counts: Noisy counts of its steps, if any were counted.
      stddev: Standard deviation of their noise.
    """

    field: QuantileField
    leaf_rows: Float64Array
    counts: Float64Array | None
    stddev: float

    def mixture(self, known: Sequence[tuple[float, float]] = ()) -> StepMixture | None:
        """Its steps: the declared one, or those that its counts show once known spikes are left out.

        Where too little is left then to tell, the spikes follow the column's steps as well.
        """
        if self.field.step is not None:
            return StepMixture.only(self.field.step)
        if self.counts is None:
            return None
        without = mixture_of(self.field, self.counts, self.stddev, self.leaf_rows, known)
        return self.mixture() if without is None and known else without

    def standout(self, stddev: float) -> Standout:
        """What stands out in it, where counts of leaves have this noise."""
        return standout(self.field, self.leaf_rows, stddev, self.mixture())


def _numbers(fields: Sequence[Field], histograms: Histograms, granularity: Measured | None) -> dict[int, _Number]:
    """The numbers on trees, by place."""
    counts, stddev = dict[int, Float64Array](), 0.0
    if granularity is not None:
        counts, stddev = GranularityLayout(tuple(fields)).split(granularity.value), granularity.stddev
    return {
        place: _Number(own, own.leaf_rows(block, histograms.n_rows), counts.get(place), stddev)
        for place, (own, block) in enumerate(zip(fields, histograms.blocks, strict=True))
        if own.has_leaves
    }
