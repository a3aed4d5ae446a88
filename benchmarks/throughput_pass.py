"""One Approximate pass beside what else could do it: Spark ML's KMeans and GaussianMixture, and numpy without Spark.

Rows are drawn once from 32 clusters, staged as the library stages them, and cached as Spark ML's vectors. A pass reads
all rows, assigns each to a component and sums the statistics. The limit is two processes that read the very same files
with pyarrow and call the very same functions, so what it lacks is Spark. Spark ML's time of one iteration is the
difference between fits of few and of more iterations, which leaves out its start; where k times the width is large it
is given fewer rows, and its rate is compared.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from threea_spark.approximate.clusters import statistics_queries
from threea_spark.approximate.mixture import Mixture, starting_mixture
from threea_spark.approximate.statistics import Covariance
from threea_spark.arrays import Int64Array
from threea_spark.encode.codec import Encoding
from threea_spark.encode.feature import SCORE_GRID
from threea_spark.encode.moments import AffineCodec
from threea_spark.engine.packed import SCHEMA, PackedRows, blocks_of, unpacked
from threea_spark.engine.spark import SparkStaged
from threea_spark.engine.staging import writer_of_blocks
from threea_spark.engine.task import as_task
from threea_spark.privacy.query import SumQuery

N_CLUSTERS = 32
N_PROCESSES = 2
BATCH_ROWS = 8192
PEER_WORK = 1e10  # rows times k times width that a peer's iteration may cost
PEER_COORDINATES = 5e7  # rows times width that a peer caches: 400 MB, beside what it copies
_ITERATIONS = (1, 3)


@dataclass(frozen=True)
class Staged:
    """Staged rows of one width, and where their files lie."""

    rows: SparkStaged
    files: tuple[str, ...]
    encoding: Encoding
    n_rows: int


def encoding_of(width: int) -> Encoding:
    """An encoding of so many numbers; nothing of it but width and norm matters here."""
    code = [AffineCodec(f"x{i}", "float", False, -3.0, 3.0, 0.0, 1.0, np.zeros(0)) for i in range(width)]
    return Encoding(tuple(code), None, float(np.sqrt(width * 9.0)))


def stage_rows(spark: Any, place: Path, width: int, n_rows: int, n_files: int) -> Staged:
    """Draws rows on Spark and writes them in the staged format, unless they are there."""

    def draw(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        centres = np.random.default_rng(0).uniform(-1.5, 1.5, (N_CLUSTERS, width))
        for batch in batches:
            for block in batch.column(0).to_pylist():
                rng = np.random.default_rng((1, block))
                x = centres[rng.integers(0, N_CLUSTERS, BATCH_ROWS)] + 0.6 * rng.standard_normal((BATCH_ROWS, width))
                packed = np.asfortranarray(np.rint(np.clip(x, -3.0, 3.0) * SCORE_GRID).astype(np.int16))
                coins = rng.integers(0, 2**32, BATCH_ROWS, dtype=np.uint32)
                zeros = np.zeros(BATCH_ROWS, dtype=np.int64)
                yield blocks_of(PackedRows(packed, zeros, coins, coins * 0, zeros))

    n_blocks = -(-n_rows // BATCH_ROWS)
    if not (place / "_delta_log").exists():
        writer_of_blocks(spark.range(0, n_blocks, 1, n_files).mapInArrow(draw, SCHEMA)).save(str(place))
    files = tuple(sorted(str(file) for file in place.glob("*.parquet")))
    rows = SparkStaged(spark.read.format("delta").load(str(place)), width)
    return Staged(rows, files, encoding_of(width), n_blocks * BATCH_ROWS)


def mixture_of(staged: Staged, k: int, covariance: Covariance) -> Mixture:
    """A mixture of k components with centres at random."""
    return starting_mixture({-1: k}, staged.encoding.width, covariance, np.random.default_rng(k), 0.8)


def seconds_of(call: Callable[[], Any]) -> float:
    """Wall seconds of a call."""
    start = time.monotonic()
    call()
    return time.monotonic() - start


def _statistics_of_file(work: tuple[str, Encoding, Mixture]) -> list[Int64Array]:
    file, encoding, mixture = work
    queries = _queries(encoding, mixture)
    totals = [np.zeros(query.size, dtype=np.int64) for query in queries]

    def add(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for rows in unpacked(batches, encoding.width):
            for total, query in zip(totals, queries, strict=True):
                total += query.contribution(rows)
        yield from ()

    list(as_task(add)(pq.ParquetFile(file).iter_batches(batch_size=1024)))
    return totals


def _queries(encoding: Encoding, mixture: Mixture) -> list[SumQuery[PackedRows]]:
    return [query for query in statistics_queries(encoding, mixture, "pass") if query is not None]


def spark_pass(staged: Staged, mixture: Mixture) -> list[Any]:
    """Ours: the statistics of one pass of the fit."""
    return staged.rows.sums(_queries(staged.encoding, mixture))


def numpy_pass(pool: ProcessPoolExecutor, staged: Staged, mixture: Mixture) -> list[Int64Array]:
    """The limit: the same sums over the same files, by processes without Spark."""
    parts = list(pool.map(_statistics_of_file, [(file, staged.encoding, mixture) for file in staged.files]))
    return [sum(part[1:], start=part[0]) for part in zip(*parts, strict=True)]


def vectors_of(spark: Any, staged: Staged, n_rows: int) -> tuple[Any, int]:
    """About so many rows as cached Spark ML vectors, in as many partitions as files; and how many they are."""
    from pyspark.ml.functions import array_to_vector
    from pyspark.sql import functions as F

    width = staged.encoding.width

    def scores(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for rows in unpacked(batches, width):
            flat = pa.array((rows.packed / SCORE_GRID).ravel())
            lists = pa.FixedSizeListArray.from_arrays(flat, width).cast(pa.list_(pa.float64()))
            yield pa.RecordBatch.from_arrays([lists], ["x"])

    vectors = staged.rows.frame.mapInArrow(scores, "x array<double>").where(F.rand(1) < n_rows / staged.n_rows)
    cached = vectors.select(array_to_vector(F.col("x")).alias("features")).cache()
    return cached, int(cached.count())


def peer_iteration(vectors: Any, kind: str, k: int) -> float:
    """Seconds of one iteration of Spark ML's `KMeans` or `GaussianMixture`."""
    from pyspark.ml.clustering import GaussianMixture, KMeans

    def fit(iterations: int) -> None:
        if kind == "KMeans":
            KMeans(k=k, maxIter=iterations, tol=0.0, seed=1, initMode="random").fit(vectors)
        else:
            GaussianMixture(k=k, maxIter=iterations, tol=0.0, seed=1).fit(vectors)

    few, more = _ITERATIONS
    start, end = seconds_of(lambda: fit(few)), seconds_of(lambda: fit(more))
    return max(end - start, 1e-3) / (more - few)


def measure(
    spark: Any, pool: ProcessPoolExecutor, staged: Staged, vectors: dict[str, tuple[Any, int]], k: int, repeat: int
) -> list[dict[str, Any]]:
    """Runs ours, the limit and the peers in turns; one record for each covariance."""
    covariances: list[Covariance] = ["isotropic", "diagonal", "full"] if k <= 16 else ["isotropic", "diagonal"]
    if staged.encoding.width > 100:
        covariances = covariances[:2]
    seconds: dict[str, list[float]] = {}
    for turn in range(repeat):
        for covariance in [*covariances[turn % len(covariances) :], *covariances[: turn % len(covariances)]]:
            mixture = mixture_of(staged, k, covariance)
            for name, run in (
                (covariance, partial(spark_pass, staged, mixture)),
                (f"limit-{covariance}", partial(numpy_pass, pool, staged, mixture)),
            ):
                run()  # Spark ends Python workers that have been idle for a minute, as they are while a peer runs
                seconds.setdefault(name, []).append(seconds_of(run) / staged.n_rows)
        for kind, (rows, n_rows) in vectors.items():
            seconds.setdefault(kind, []).append(peer_iteration(rows, kind, k) / n_rows)
    return [_record(seconds, k, staged.encoding.width, covariance) for covariance in covariances]


def _record(seconds: dict[str, list[float]], k: int, width: int, covariance: str) -> dict[str, Any]:
    ours = seconds[covariance]

    def ratio(name: str) -> float | None:
        if name not in seconds:
            return None
        return median(other / own for own, other in zip(ours, seconds[name], strict=True))

    return {
        "k": k,
        "width": width,
        "covariance": covariance,
        "rows_per_s": 1.0 / median(ours),
        "vs_kmeans": ratio("KMeans"),
        "vs_gaussian_mixture": ratio("GaussianMixture"),
        "vs_limit": ratio(f"limit-{covariance}"),
        "limit_rows_per_s": 1.0 / median(seconds[f"limit-{covariance}"]),
    }
