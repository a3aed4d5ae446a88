import datetime as dt
from dataclasses import replace
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from small_tables import category

from threea_spark.config.columns import TimestampColumn
from threea_spark.encode.cells import Levels
from threea_spark.encode.codec import Encoding
from threea_spark.encode.grid import N_LEAVES, leaf_grid
from threea_spark.encode.quantile_codec import quantile_codec
from threea_spark.encode.quantiles import QuantileField
from threea_spark.encode.times import TimeCodec, local_seconds, part_of, time_field, utc_seconds
from threea_spark.model.stored import from_stored, to_stored

NAN = float("nan")
RNG = np.random.default_rng(3)


TIME = TimestampColumn(type="timestamp", lower=dt.datetime(2020, 1, 1), upper=dt.datetime(2024, 1, 1))


def time_code(nullable=True):
    grid = leaf_grid(TIME.lower_number, TIME.upper_number, whole=True)
    return quantile_codec("seen", "timestamp", nullable, grid, np.ones(N_LEAVES), cell_rows=16.0)


def joined(parts, seconds, levels):
    sizes = {"hour": 24, "weekday": 7, "month": 12}
    own = [category(part, *map(str, range(sizes[part])), nullable=True) for part in parts]
    wanted = {part.name: Levels(level, part.values) for part, level in zip(own, levels, strict=True)}
    return TimeCodec(time_code(), tuple(own)).moved(seconds, wanted).values


SECONDS = np.floor(TIME.lower_number + np.random.default_rng(8).random(3_000) * (4 * 365 * 86_400))


@pytest.mark.parametrize(("part", "size"), [("hour", 24), ("weekday", 7), ("month", 12)])
def test_a_time_is_moved_to_its_drawn_part_and_stays_within_bounds(part, size):
    level = RNG.integers(0, size, len(SECONDS))
    moved = joined([part], SECONDS, [level])
    assert moved.min() >= TIME.lower_number
    assert moved.max() <= TIME.upper_number
    inner = (SECONDS > TIME.lower_number + 200 * 86_400) & (SECONDS < TIME.upper_number - 200 * 86_400)
    assert inner.sum() > 1_000
    assert np.array_equal(part_of(moved[inner], part), level[inner])


def test_all_three_parts_hold_at_once():
    size = len(SECONDS)
    hour, weekday, month = RNG.integers(0, 24, size), RNG.integers(0, 7, size), RNG.integers(0, 12, size)
    moved = joined(["hour", "weekday", "month"], SECONDS, [hour, weekday, month])
    inner = (SECONDS > TIME.lower_number + 220 * 86_400) & (SECONDS < TIME.upper_number - 220 * 86_400)
    assert np.array_equal(part_of(moved[inner], "hour"), hour[inner])
    assert np.array_equal(part_of(moved[inner], "weekday"), weekday[inner])
    assert np.mean(part_of(moved[inner], "month") == month[inner]) > 0.8  # a weekday may lie across a month's end


def test_null_times_and_null_parts_move_nothing():
    seconds = np.array([NAN, SECONDS[0]])
    moved = joined(["hour"], seconds, [np.array([5, -1])])
    assert np.isnan(moved[0])
    assert moved[1] == SECONDS[0]


@pytest.mark.parametrize("distance", range(-3, 4))
def test_a_time_is_moved_to_the_nearest_weekday_not_to_the_next(distance):
    """A shift of up to three days either way; the next such weekday would be up to six days later."""
    inner = SECONDS[np.abs(SECONDS - SECONDS.mean()) < 500 * 86_400]
    wanted = (part_of(inner, "weekday") + distance) % 7
    assert np.array_equal(joined(["weekday"], inner, [wanted]) - inner, np.full(len(inner), distance * 86_400.0))


@pytest.mark.parametrize("distance", range(-5, 7))
def test_a_time_is_moved_to_the_nearest_month(distance):
    inner = SECONDS[np.abs(SECONDS - SECONDS.mean()) < 500 * 86_400]
    moved = joined(["month"], inner, [(part_of(inner, "month") + distance) % 12])
    assert np.all(np.abs((moved - inner) / 86_400.0 - distance * 30.44) < 7.0)


def test_a_time_begins_with_its_seconds():
    time = TimeCodec(time_code(), (category("hour", *map(str, range(24))),))
    assert time.with_features(time.features) == time
    with pytest.raises(TypeError, match="begins with its seconds"):
        time.with_features(time.features[::-1])


def test_dates_and_arrow_batches_can_hold_what_was_drawn():
    code = time_code()
    column = code.decode_cells(RNG.integers(0, code.n_cells, 2_000), np.random.default_rng(1))
    for simple in ("date", "timestamp", "timestamp_ntz"):
        array = column.to_arrow(simple)
        assert isinstance(array, pa.Array)
        assert array.null_count == int(np.isnan(column.values).sum())


def test_parts_of_a_time_are_read_from_its_column():
    when = [dt.datetime(2024, 2, 29, 23, 59), dt.datetime(1970, 1, 1), None]
    cells = pa.array(when, pa.timestamp("us"))
    instant = QuantileField("seen", "timestamp", True, leaf_grid(0.0, 2e9, whole=True))
    time, hour, weekday, month = time_field(instant, ("hour", "weekday", "month")).read(cells)
    assert time[:2].tolist() == [dt.datetime(2024, 2, 29, 23, 59, tzinfo=dt.timezone.utc).timestamp(), 0.0]
    assert np.isnan(time[2])
    assert hour.tolist() == [23, 0, 24]
    assert weekday.tolist() == [3, 3, 7]  # both Thursdays; null has a level of its own
    assert month.tolist() == [1, 0, 12]
    certain = time_field(replace(instant, nullable=False), ("month",)).read(cells)[1]
    assert certain.tolist() == [1, 0, 0]  # not nullable: null counts as the first


def test_parts_agree_with_the_calendar():
    rng = np.random.default_rng(1)
    moments = rng.integers(-2_000_000_000, 4_000_000_000, 500).astype(np.float64)
    for moment in moments:
        day = dt.datetime(1970, 1, 1) + dt.timedelta(seconds=float(moment))
        one = np.array([moment])
        assert part_of(one, "hour")[0] == day.hour
        assert part_of(one, "weekday")[0] == day.weekday()
        assert part_of(one, "month")[0] == day.month - 1


def test_times_beyond_the_calendar_have_parts_too():
    for moment in (-1e300, 1e300, -9.2e12, 9.2e12):
        assert 0 <= part_of(np.array([moment]), "month")[0] < 12
        assert 0 <= part_of(np.array([moment]), "hour")[0] < 24


NEW_YORK = "America/New_York"


def test_clocks_of_a_zone_are_those_of_python_also_when_they_change():
    rng = np.random.default_rng(4)
    moments = np.concatenate([rng.random(500) * 4e9 - 1e9, 1_604_210_400.0 + np.arange(-8, 8) * 900.0])
    for zone in (NEW_YORK, "Asia/Kolkata", "Australia/Lord_Howe"):
        local = local_seconds(moments, zone)
        wanted = [dt.datetime.fromtimestamp(int(moment // 900) * 900, ZoneInfo(zone)) for moment in moments]
        assert np.array_equal(local - moments, [moment.utcoffset().total_seconds() for moment in wanted])
        back = utc_seconds(local, zone)
        assert np.mean(back == moments) > 0.98  # but for hours that come twice
        assert np.abs(back - moments).max() <= 3_600
    assert local_seconds(moments, None) is moments


def test_parts_are_read_and_released_by_the_clocks_of_the_zone():
    """Shop hours 9 to 16 in New York are 13 to 21 in UTC, and come back as 9 to 16."""
    rng = np.random.default_rng(5)
    days = pd.Timestamp("2021-01-01", tz=NEW_YORK) + pd.to_timedelta(rng.integers(0, 700, 400), unit="D")
    shop = days.normalize() + pd.to_timedelta(rng.integers(9 * 60, 17 * 60, 400), unit="min")
    grid = leaf_grid(TIME.lower_number, TIME.upper_number, whole=True)
    field = time_field(QuantileField("seen", "timestamp", True, grid), ("hour", "weekday"), NEW_YORK)
    cells = pa.array(shop.tz_convert("UTC").as_unit("us").tz_localize(None).to_numpy(), pa.timestamp("us")).cast(
        pa.timestamp("us", "UTC")
    )
    seconds, hour, weekday = field.read(cells)
    assert np.array_equal(hour, shop.hour)
    assert np.array_equal(weekday, shop.day_of_week)
    utc = time_field(field.instant, ("hour",)).read(cells)[1]
    assert set(utc) == set(range(13, 22))
    codec = field.join([time_code(), category("hour", *map(str, range(24))), category("weekday", *map(str, range(7)))])
    drawn = codec.moved(rng.permutation(seconds) + 5 * 3_600, {"hour": Levels(hour, codec.parts[0].values)}).values
    clocks = pd.to_datetime(drawn, unit="s", utc=True).tz_convert(NEW_YORK)
    assert np.array_equal(clocks.hour, hour)
    assert not np.array_equal(clocks.tz_convert("UTC").hour, hour)
    assert codec.with_features(codec.features).time_zone == NEW_YORK


def test_a_zone_is_checked_stored_and_part_of_the_configuration_only_where_it_is_given():
    plain = TIME.model_dump(mode="json")
    assert "time_zone" not in plain
    own = TimestampColumn.model_validate({**plain, "time_zone": NEW_YORK})
    assert own.model_dump(mode="json") == {**plain, "time_zone": NEW_YORK}
    for odd in ("Mars/Olympus", "", "../etc/passwd"):
        with pytest.raises(ValueError, match="time_zone is not a known zone; write one such as"):
            TimestampColumn.model_validate({**plain, "time_zone": odd})
    parts = (category("hour", *map(str, range(24))),)
    for zone in (None, NEW_YORK):
        encoding = Encoding((TimeCodec(time_code(), parts, zone),), None, 1.0)
        assert from_stored(to_stored(encoding)).columns[0].time_zone == zone
