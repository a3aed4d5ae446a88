"""The stages in order: each recipe's steps, with the published numbers of one handed to the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from threea_spark import advice, drawing, mixing
from threea_spark.anonymize.mix import Mixed
from threea_spark.config.domain import Domain
from threea_spark.config.release import ReleaseConfig
from threea_spark.encode.bounds import bounded
from threea_spark.encode.codec import ColumnCodec
from threea_spark.encode.domain_fit import DomainFit
from threea_spark.encode.fit import EncodedTable, found_bounds, measure_encoding
from threea_spark.encode.noisy_tables import NoisyTables
from threea_spark.encode.outline import LabelShape, TableShape, encode_prices
from threea_spark.encode.packing import staged_rows
from threea_spark.engine.progress import Progress
from threea_spark.engine.rows import SourceRows, StagedRows
from threea_spark.errors import ConfigError
from threea_spark.model.constants import constant_columns, constants_in_words
from threea_spark.model.released import ReleaseModel
from threea_spark.model.sampler import Drawn
from threea_spark.privacy import large_delta
from threea_spark.privacy.budget import PrivacyPlan
from threea_spark.privacy.meter import PrivacyMeter
from threea_spark.privacy.noise import KeyedNoise, new_key
from threea_spark.privacy.statement import PrivacyStatement
from threea_spark.privacy.terms import Stage
from threea_spark.recipes.choice import choose
from threea_spark.recipes.recipe import ENCODE_STEPS, DrawPairs, DrawWide, Mix, Recipe
from threea_spark.recipes.run import Run


@dataclass(frozen=True)
class Fitted:
    """What the stages leave.

    Attributes:
      recipe: The steps that ran, with their values.
      outcome: A distribution to draw from, or groups to mix. RELEASED but for the groups' sums.
      staged: Packed rows. PRIVATE.
      n_rows: DP number of rows.
      domain: As declared, with the bounds that were found. RELEASED.
      fit: What the declaration of each column does not fit, and the bounds that were found. RELEASED.
      advice: Signs that the release lost more than it had to.
      meter: All that was spent.
      tables: The noisy counts behind it; None where rows are mixed, or counts were exact. RELEASED.
    """

    recipe: Recipe
    outcome: Drawn | Mixed
    staged: StagedRows
    n_rows: float
    domain: Domain
    fit: DomainFit
    advice: tuple[str, ...]
    meter: PrivacyMeter
    tables: NoisyTables | None

    def n_released(self, asked: int | str) -> int:
        """Rows of the released table: one for each group, as many as asked for, or as the source holds (`match`)."""
        if isinstance(self.outcome, Mixed):
            return self.outcome.mixer.n_groups
        return max(1, round(self.n_rows)) if asked == "match" else int(asked)

    def model(self, types: Mapping[str, str], privacy: PrivacyStatement) -> ReleaseModel:
        """The model that rows are drawn from.

        Args:
          types: Spark's simple type string by released column.
          privacy: The guarantee.

        Raises:
          ConfigError: if rows were mixed.
        """
        drawn = self.outcome
        if isinstance(drawn, Mixed):
            raise ConfigError("anonymize.generator: a mixed table is not a model to sample from")
        return ReleaseModel(
            self.domain,
            drawn.encoding,
            drawn.sampler,
            types,
            self.n_rows,
            privacy,
            self.advice,
            self.fit.as_dict(),
            self.tables,
        )


def run_stages(
    source: Callable[[bytes], SourceRows],
    config: ReleaseConfig,
    plan: PrivacyPlan,
    release_id: str,
    progress: Progress,
) -> Fitted:
    """Runs Encode, chooses the recipe, and runs its steps.

    Args:
      source: Takes the release's secret key, and returns the source's rows, at most `max_rows` of each unit. PRIVATE.
      config, plan, release_id: The release's configuration, certified plan and name.
      progress: Announces each step.

    Raises:
      PrivacyError: if delta is one in fewer units than were counted, and nobody allowed it; nothing is packed then.
    """
    key = new_key()
    meter = PrivacyMeter(plan, KeyedNoise(key), release_id)
    rng = np.random.default_rng(int(config.digest, 16))
    rows = source(key)
    histograms, staging = ENCODE_STEPS
    with progress.step(histograms):
        prices = encode_prices(config, plan.mu_of(Stage.ENCODE))
        bounds = found_bounds(rows, config.domain, meter, prices.bounds)
        config = config.model_copy(update={"domain": bounded(config.domain, bounds)})
        encoded = measure_encoding(rows, config, meter, prices)
    if not config.privacy.allow_large_delta:
        large_delta.require_small(plan.delta, plan.unit.max_rows, encoded.n_rows)
    with progress.step(staging):
        staged = staged_rows(rows, encoded.reader, encoded.encoding, mixes=config.is_mixing)
    chosen = choose(config, plan, shape_of(encoded, config.domain))
    progress.expect(chosen.steps)
    outcome, found = _followed(chosen, Run(config, meter, rng, progress, encoded, staged))
    large = large_delta.advice(plan.delta, plan.unit.max_rows, encoded.n_rows)
    conditional = [advice.CONDITIONAL] if plan.is_conditional else []
    found = [*advice.diagnose_functions(encoded), *found]
    missing = [] if plan.unit.missing_in_words is None else [f"unit: {plan.unit.missing_in_words}"]
    fit = DomainFit(encoded.misfits, bounds, encoded.open_values)
    found = [*fit.advice(), *_constants(outcome, config), *found]
    told = (*large, *found, *conditional, *missing)
    tables = _kept_tables(encoded, outcome)
    return Fitted(chosen, outcome, staged, encoded.n_rows, config.domain, fit, told, meter, tables)


def _kept_tables(encoded: EncodedTable, outcome: Drawn | Mixed) -> NoisyTables | None:
    if encoded.tables is None or isinstance(outcome, Mixed):
        return None
    return replace(encoded.tables, counts=(*encoded.tables.counts, *outcome.tables))


def _constants(outcome: Drawn | Mixed, config: ReleaseConfig) -> list[str]:
    """Advice on columns of one value; of mixed rows nothing is known before they are mixed."""
    if isinstance(outcome, Mixed):
        return []
    rng = np.random.default_rng(int(config.digest, 16))
    return constants_in_words(constant_columns(outcome, config.domain.label, rng))


def shape_of(encoded: EncodedTable, domain: Domain) -> TableShape:
    """The DP numbers that the recipe is chosen by."""
    encoding, n_rows = encoded.encoding, encoded.n_rows
    further = tuple(_further_label(encoding.column(name), n_rows) for name in domain.further_labels)
    return TableShape(
        n_rows, encoding.n_classes, len(encoding.features), encoding.width, encoded.rows_to_learn, further
    )


def _further_label(codec: ColumnCodec, n_rows: float) -> LabelShape:
    """A label that is coded like other columns: its classes were counted with every column's cells."""
    (own,) = codec.features
    rows = max(n_rows - float(own.level_mass.max()), 0.0) if own.is_category else n_rows
    return LabelShape(codec.name, own.n_cells, rows, is_number=not own.is_category)


def _followed(chosen: Recipe, run: Run) -> tuple[Drawn | Mixed, list[str]]:
    """Runs the steps of a recipe; returns their outcome, and advice."""
    if isinstance(chosen, Mix):
        return mixing.mix(chosen, run)
    if isinstance(chosen, DrawPairs):
        return drawing.draw_pairs(chosen, run)
    return drawing.draw_wide(chosen, run) if isinstance(chosen, DrawWide) else drawing.draw(chosen, run)
