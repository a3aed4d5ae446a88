"""The rules of the house, read from the source's syntax trees. Every exception is listed here with its reason."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "threea_spark"
FILES = sorted(PACKAGE.rglob("*.py"))
ROOMS = (
    ("errors", "arrays"),
    ("privacy",),
    ("config",),
    ("engine",),
    ("source",),
    ("encode",),
    ("model",),
    ("approximate",),
    ("adapt",),
    ("anonymize",),
    ("publish",),
    ("evaluation",),
    ("report",),
    ("recipes",),
    (None,),  # the top-level modules: pipeline, stages, recipe, ...
    ("forecast",),
    ("estimators",),
    ("doctor",),
    ("cli",),
)
"""Folders (and the two modules that know nobody) in the order in which they may import: only from above themselves."""
FLOOR = {room: floor for floor, rooms in enumerate(ROOMS) for room in rooms}
FOLDERS = sorted(
    {name.split("/")[0] for name in (path.relative_to(PACKAGE).as_posix() for path in FILES) if "/" in name}
)
MAX_AT_THE_ROOT = 15
TREES = {path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in FILES}
TOP_LEVEL = {name.removesuffix(".py") for name in TREES if "/" not in name and not name.startswith("__")}
LINES = {name: (PACKAGE / name).read_text(encoding="utf-8").splitlines() for name in TREES}

HEAVY = {"pyspark", "pandas", "jax", "neural_tangents", "lightgbm", "delta", "mlflow"}
MODULE_LEVEL = {  # heavy packages a file may import at module level
    "adapt/kernel.py": {"jax"},  # the kernel itself; imported on the driver, inside functions
    "adapt/inducing.py": {"jax"},
    "adapt/row_gradient.py": {"jax"},
    "approximate/product_fit.py": {"jax"},
    "estimators/spark_ml.py": {"pyspark"},  # a subclass of Spark ML's classes; never imported by another module
}
GENERATORS = {"normal", "standard_normal", "laplace", "gauss", "normalvariate", "multivariate_normal", "randn"}
PUBLIC_RANDOMNESS = {  # draws that are no noise on anything private
    "approximate/mixture.py": "starting centres, before a row is read",
    "approximate/product_fit.py": "starting points of a fit to released tables",
    "model/sampler.py": "rows drawn from released laws: post-processing",
    "adapt/move.py": "targets drawn from the released mixture: post-processing",
}
ORDERED_BY_SPARK = {
    "monotonically_increasing_id", "dropDuplicates", "drop_duplicates", "first_value", "any_value", "rand", "randn",
    "sampleBy", "randomSplit", "row_number", "spark_partition_id", "input_file_name", "zipWithIndex", "uuid",
}  # fmt: skip
NO_PRIVATE_NUMBERS = {
    "source/rows.py",  # `bound_rows`, whose order is total: tests/spark/test_kept_rows.py
    "doctor/probe.py",  # looks at workers, over a range of its own
}
READS_ROWS = {"sums", "sample", "passing_values", "frequent_values", "exposed", "contribution", "noised"}
THE_METER = {
    "privacy/meter.py", "privacy/query.py", "privacy/mechanism.py", "privacy/selection.py",
    "engine/spark.py", "engine/partial_sums.py", "engine/local.py",
}  # fmt: skip
READ_ELSEWHERE = {  # calls by such a name that read no row, or whose price the meter has booked
    ("adapt/learn.py", "contribution"): "targets drawn from the released mixture",
    ("anonymize/mixed_rows.py", "noised"): "noise that the meter granted, added where a group's rows meet",
    ("source/reading.py", "sample"): "Spark's own, of a released table or of a test set for the evaluation",
    ("cli/sample.py", "sample"): "draws rows from a saved model",
    ("estimators/spark_ml.py", "sample"): "draws rows from a released model",
}
RUNS_SPARK = {
    "mapInArrow", "mapInPandas", "applyInArrow", "applyInPandas", "collect", "toArrow", "toPandas", "toLocalIterator",
}  # fmt: skip
HOLDS_SPARK = {"engine", "source", "publish", "doctor"}
DRAWS_ON_SPARK = {"model/draw.py": "released rows, drawn by tasks from a model"}
KINDS_OF_COLUMNS = {
    "IntegerColumn", "FloatColumn", "TimestampColumn", "CategoricalColumn", "QuantileField", "MomentField",
    "CategoryField", "TimeField", "NumberCodec", "QuantileCodec", "AffineCodec", "PointCodec", "CategoryCodec",
    "TimeCodec", "Numbers", "Levels",
}  # fmt: skip
FORBIDDEN_NAMES = {"rdd", "RDD", "SparkContext", "sparkContext", "_jvm", "_jsc", "_jdf", "_sc"}
VAGUE = {"utils", "util", "helpers", "helper", "misc", "common", "tools"}
MAX_LINES, MAX_FUNCTION_LINES, HARD_STOP = 250, 40, 70
MAX_LINES_EVER = 300
LONG_FILES: dict[str, str] = {}
LONG_FUNCTIONS: dict[str, str] = {}


def each_file(rule):
    """One test a rule, over all files, that lists every offender; `rule` itself stays at hand for one file."""

    def check_every_file():
        offenders = {}
        for name in TREES:
            try:
                rule(name)
            except AssertionError as found:
                offenders[name] = str(found).splitlines()[0]
        assert not offenders, "\n".join(f"{name}: {words}" for name, words in offenders.items())

    check_every_file.__name__, check_every_file.__doc__ = rule.__name__, rule.__doc__
    check_every_file.on = rule
    return check_every_file


def imports(tree):
    """Every imported module with its line; `from a import b` gives a and a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import"
            yield node.module, node.lineno
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node.lineno


def module_level(body):
    """Statements that run at import, but for those under TYPE_CHECKING."""
    for node in body:
        if isinstance(node, ast.If):
            if not (isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"):
                yield from module_level(node.body)
            yield from module_level(node.orelse)
        elif isinstance(node, ast.Try):
            yield from module_level([*node.body, *node.orelse, *node.finalbody])
            for handler in node.handlers:
                yield from module_level(handler.body)
        elif isinstance(node, ast.With):
            yield from module_level(node.body)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield node


def outside_type_checking(tree):
    guarded = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for statement in node.body
        for inner in ast.walk(statement)
    }
    return ast.Module(
        [n for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom) and id(n) not in guarded], []
    )


def stage_of(name):
    return name.split("/")[0] if "/" in name else None


def root(module):
    return module.split(".")[0]


@each_file
def test_heavy_packages_are_not_imported_at_module_level(name):
    found = {root(module) for node in module_level(TREES[name].body) for module, _ in imports(ast.Module([node], []))}
    assert found & HEAVY <= MODULE_LEVEL.get(name, set())


@each_file
def test_jax_stays_in_fits_and_neural_tangents_in_the_reference(name):
    found = {root(module) for module, _ in imports(outside_type_checking(TREES[name]))}
    if stage_of(name) != "adapt" and name not in ("approximate/product_fit.py", "approximate/device.py"):
        assert "jax" not in found
    if name != "adapt/reference_kernel.py":
        assert "neural_tangents" not in found


def room_of(module):
    """The folder of a module of the package, by its dotted name below it; None for a top-level module."""
    first = module.split(".")[0]
    return first if first in FOLDERS or first in ROOMS[0] else None


@each_file
def test_imports_go_one_way(name):
    own = room_of(name.removesuffix(".py").replace("/", "."))
    for module, line in imports(TREES[name]):
        below = module.removeprefix("threea_spark.")
        if below == module or name in ("__init__.py", "__main__.py"):  # `python -m` is the command line
            continue
        theirs = room_of(below)
        if theirs is None and below.split(".")[0] not in TOP_LEVEL:
            continue  # a name of the package itself, such as its version
        assert theirs == own or FLOOR[theirs] < FLOOR[own], f"line {line}: {own or name} imports {below}"


def test_every_folder_has_its_floor_and_few_files_stand_at_the_root():
    assert set(FOLDERS) == set(FLOOR) - {None, *ROOMS[0]}
    assert len(TOP_LEVEL) <= MAX_AT_THE_ROOT


@each_file
def test_the_init_of_a_folder_holds_a_docstring_only(name):
    if name.endswith("/__init__.py"):
        assert len(TREES[name].body) == 1
        assert ast.get_docstring(TREES[name])


@each_file
def test_nobody_asks_for_the_class_of_a_column(name):
    """Columns, fields, codecs and decoded columns answer by methods and by `is_category`, `is_timestamp` and such."""
    asked = [
        node.lineno
        for node in ast.walk(TREES[name])
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance"
        and {own.id for own in ast.walk(node.args[1]) if isinstance(own, ast.Name)} & KINDS_OF_COLUMNS
    ]  # fmt: skip
    assert not asked, f"lines {asked}: ask the column by a method"


@each_file
def test_only_privacy_draws_noise(name):
    drawn = [
        node.lineno
        for node in ast.walk(TREES[name])
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in GENERATORS
    ]
    if name in PUBLIC_RANDOMNESS:
        assert drawn, f"{name} no longer draws; take it off the list"
    else:
        assert drawn == []


@each_file
def test_nothing_that_spark_orders_by_itself_touches_rows(name):
    """Which rows these keep follows from files and partitions, and so from other units' rows."""
    if name in NO_PRIVATE_NUMBERS:
        return
    found = [
        (node.lineno, node.func.attr)
        for node in ast.walk(TREES[name])
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ORDERED_BY_SPARK
    ]
    assert found == [], f"{found}: rows would hang on their files"


def calls(name):
    """Every call of a method: its line, the receiver, and the method's name."""
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield node.lineno, node.func.value, node.func.attr


def is_meter(receiver):
    return (getattr(receiver, "id", None) or getattr(receiver, "attr", None)) == "meter"


@each_file
def test_only_the_meter_reads_rows(name):
    """A pass over rows, or noise on what it gave, is the meter's affair: it prices and books what it lets through."""
    if name in THE_METER:
        return
    found = [(line, read) for line, receiver, read in calls(name) if read in READS_ROWS and not is_meter(receiver)]
    assert [own for own in found if (name, own[1]) not in READ_ELSEWHERE] == []


@each_file
def test_spark_runs_rows_in_a_few_folders(name):
    if stage_of(name) not in HOLDS_SPARK and name not in DRAWS_ON_SPARK:
        assert [(line, run) for line, _, run in calls(name) if run in RUNS_SPARK] == []


@each_file
def test_only_the_data_frame_api_is_used(name):
    found = [
        (node.lineno, word)
        for node in ast.walk(TREES[name])
        for word in [getattr(node, "attr", None) or getattr(node, "id", None)]
        if word in FORBIDDEN_NAMES
    ]
    assert found == []
    spark_types = {"DataFrame", "SparkSession", "Column", "Row"}
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
            tested = {getattr(n, "attr", None) or getattr(n, "id", None) for n in ast.walk(node.args[1])}
            assert not (tested & spark_types and _imports_pyspark(name)), (
                f"line {node.lineno}: isinstance on Spark's class"
            )


def _imports_pyspark(name):
    return any(root(module) == "pyspark" for module, _ in imports(TREES[name]))


@each_file
def test_spark_is_configured_in_one_place_and_never_while_it_runs(name):
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            target = node.func.value
            is_conf = isinstance(target, ast.Attribute) and target.attr == "conf"
            assert not (is_conf and node.func.attr in ("set", "unset")), (
                f"line {node.lineno}: sets Spark's configuration"
            )
            if node.func.attr == "getOrCreate":
                assert name == "session.py", f"line {node.lineno}: builds a session"


@each_file
def test_what_comes_to_the_driver_is_bounded_in_words(name):
    for node in ast.walk(TREES[name]):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        if node.func.attr in ("collect", "toArrow", "toPandas", "toLocalIterator"):
            near = LINES[name][max(0, node.lineno - 2) : node.end_lineno + 1]
            assert any("bounded" in line and "#" in line for line in near), f"line {node.lineno}: say what bounds it"


@each_file
def test_no_file_has_a_vague_name(name):
    assert Path(name).stem not in VAGUE
    assert stage_of(name) not in VAGUE


@each_file
def test_files_are_short(name):
    assert len(LINES[name]) <= (MAX_LINES_EVER if name in LONG_FILES else MAX_LINES)


def functions(tree):
    return [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]


def body_lines(function):
    """Lines of a function without its docstring."""
    doc = function.body[0]
    has_doc = isinstance(doc, ast.Expr) and isinstance(doc.value, ast.Constant) and isinstance(doc.value.value, str)
    return function.end_lineno - function.lineno + 1 - (doc.end_lineno - doc.lineno + 1 if has_doc else 0)


@each_file
def test_functions_are_short(name):
    long = {f.name: body_lines(f) for f in functions(TREES[name]) if body_lines(f) > MAX_FUNCTION_LINES}
    assert all(lines <= HARD_STOP for lines in long.values()), long
    assert set(long) <= {key.split("::")[1] for key in LONG_FUNCTIONS if key.startswith(f"{name}::")}, long


def public(body, prefix=""):
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            yield f"{prefix}{node.name}", node
            if isinstance(node, ast.ClassDef):
                yield from public(node.body, f"{node.name}.")


@each_file
def test_every_module_and_public_name_is_documented(name):
    assert ast.get_docstring(TREES[name])
    assert [full for full, node in public(TREES[name].body) if not ast.get_docstring(node)] == []


@each_file
def test_every_signature_is_typed(name):
    for function in functions(TREES[name]):
        given = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
        untyped = [a.arg for a in given if a.annotation is None and a.arg not in ("self", "cls")]
        assert not untyped, f"{function.name}: {untyped}"
        assert function.returns is not None or function.name == "__init__", function.name


@each_file
def test_nothing_is_pickled_or_evaluated(name):
    found = {root(module) for module, _ in imports(TREES[name])}
    assert not found & {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
    called = {n.func.id for n in ast.walk(TREES[name]) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
    assert not called & {"eval", "exec"}
    assert "print" not in called


@each_file
def test_no_error_shows_what_it_came_of(name):
    """A cause may hold values of rows, and a notebook prints the whole chain; it is logged at DEBUG instead."""
    for handler in ast.walk(TREES[name]):
        for node in ast.walk(handler) if isinstance(handler, ast.ExceptHandler) else ():
            if isinstance(node, ast.Raise) and node.exc is not None:
                hidden = isinstance(node.cause, ast.Constant) and node.cause.value is None
                assert hidden, f"line {node.lineno}: raise ... from None, and log the cause"


def test_the_lists_of_exceptions_hold_no_stale_entry():
    for name in (*MODULE_LEVEL, *PUBLIC_RANDOMNESS, *LONG_FILES):
        assert name in TREES
    for name, read in READ_ELSEWHERE:
        assert read in {called for _, receiver, called in calls(name) if not is_meter(receiver)}
    for name in DRAWS_ON_SPARK:
        assert {called for *_, called in calls(name)} & RUNS_SPARK
    for name, packages in MODULE_LEVEL.items():
        found = {root(module) for module, _ in imports(TREES[name])}
        assert found & HEAVY >= packages
    for key in LONG_FUNCTIONS:
        name, function = key.split("::")
        assert function in {f.name for f in functions(TREES[name])}


IMPORTED = {
    ("numpy", "pandas", "pydantic", "pyspark", "jax"): ["threea_spark"],
    ("pandas", "pyspark", "jax"): [
        "threea_spark.privacy",
        "threea_spark.privacy.meter",
        "threea_spark.privacy.statement",
        "threea_spark.privacy.account",
        "threea_spark.config.release",
        "threea_spark.model.released",
        "threea_spark.report.pages",
        "threea_spark.report.public",
    ],
    ("pyspark", "jax"): ["threea_spark.pipeline", "threea_spark.anonymize.mixed_rows", "threea_spark.engine.spark"],
    ("mlflow", "pyspark", "jax"): ["threea_spark.cli.main"],
    ("mlflow", "pandas", "pyspark", "jax"): ["threea_spark.publish.mlflow"],
    ("lightgbm", "pandas", "pyspark", "jax"): ["threea_spark.report.internal"],
}
"""What importing these modules must not bring along."""


@pytest.mark.parametrize("unwanted", IMPORTED, ids="-".join)
def test_an_import_brings_nothing_heavy_along(unwanted):
    modules = ", ".join(IMPORTED[unwanted])
    code = f"import sys, {modules}; print(sorted(set({unwanted!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


SOUND = '"""Module."""\nfrom __future__ import annotations\n'


@pytest.mark.parametrize(
    ("check", "name", "text"),
    [
        (
            test_heavy_packages_are_not_imported_at_module_level,
            "encode/x.py",
            "try:\n    import pandas as pd\nexcept ImportError:\n    pd = None\n",
        ),
        (
            test_jax_stays_in_fits_and_neural_tangents_in_the_reference,
            "encode/x.py",
            "def f():\n    import jax.numpy as jnp\n",
        ),
        (
            test_jax_stays_in_fits_and_neural_tangents_in_the_reference,
            "adapt/x.py",
            "def f():\n    from neural_tangents import stax\n",
        ),
        (test_imports_go_one_way, "privacy/x.py", "from threea_spark.encode.grid import LeafGrid\n"),
        (test_imports_go_one_way, "encode/x.py", "from threea_spark.recipes.rules import auto_shares\n"),
        (test_imports_go_one_way, "approximate/x.py", "from threea_spark.adapt import learn\n"),
        (test_imports_go_one_way, "rules.py", "from threea_spark.cli.console import say\n"),
        (test_the_init_of_a_folder_holds_a_docstring_only, "encode/__init__.py", "x = 1\n"),
        (test_nobody_asks_for_the_class_of_a_column, "encode/x.py", "isinstance(a, Numbers | CategoryCodec)\n"),
        (test_only_privacy_draws_noise, "encode/x.py", "x = np.random.default_rng().normal(0, 1)\n"),
        (test_only_privacy_draws_noise, "model/sampler.py", ""),
        (test_only_the_meter_reads_rows, "approximate/x.py", "staged.sums([query])\n"),
        (test_only_the_meter_reads_rows, "adapt/x.py", "with staged.sample(0.5) as rows:\n    pass\n"),
        (test_only_the_meter_reads_rows, "encode/x.py", "rows.passing_values('c0', lambda value, count: count)\n"),
        (test_only_the_meter_reads_rows, "stages.py", "rows.frequent_values('c0', 5, above=9)\n"),
        (test_only_the_meter_reads_rows, "adapt/learn.py", "rows = held.exposed()\n"),
        (test_only_the_meter_reads_rows, "approximate/x.py", "query.contribution(rows)\n"),
        (test_only_the_meter_reads_rows, "pipeline.py", "mechanism.noised(sums, noise)\n"),
        (test_spark_runs_rows_in_a_few_folders, "approximate/x.py", "rows.mapInArrow(task, schema)\n"),
        (test_spark_runs_rows_in_a_few_folders, "pipeline.py", "rows = frame.toArrow()\n"),
        (test_only_the_data_frame_api_is_used, "encode/x.py", "x = df.rdd\n"),
        (
            test_only_the_data_frame_api_is_used,
            "encode/x.py",
            "from pyspark.sql import DataFrame\nisinstance(x, DataFrame)\n",
        ),
        (test_spark_is_configured_in_one_place_and_never_while_it_runs, "encode/x.py", "spark.conf.set('a', 'b')\n"),
        (
            test_spark_is_configured_in_one_place_and_never_while_it_runs,
            "encode/x.py",
            "SparkSession.builder.getOrCreate()\n",
        ),
        (test_what_comes_to_the_driver_is_bounded_in_words, "encode/x.py", "\n\nrows = df.collect()\n\n"),
        (test_no_file_has_a_vague_name, "encode/utils.py", ""),
        (test_files_are_short, "encode/x.py", "\n" * 260),
        (test_functions_are_short, "encode/x.py", "def f() -> None:\n" + "    g()\n" * 41),
        (
            test_every_module_and_public_name_is_documented,
            "encode/x.py",
            "class A:\n    '''A.'''\n    def f(self): pass\n",
        ),
        (test_every_signature_is_typed, "encode/x.py", "def f(x) -> None: pass\n"),
        (test_nothing_is_pickled_or_evaluated, "encode/x.py", "import pickle\n"),
        (
            test_no_error_shows_what_it_came_of,
            "encode/x.py",
            "try:\n    f()\nexcept OSError as error:\n    raise ValueError from error\n",
        ),
        (test_no_error_shows_what_it_came_of, "encode/x.py", "try:\n    f()\nexcept OSError:\n    raise ValueError\n"),
        (test_nothing_that_spark_orders_by_itself_touches_rows, "source/x.py", "rows.dropDuplicates(['a'])\n"),
        (test_nothing_that_spark_orders_by_itself_touches_rows, "encode/x.py", "F.row_number()\n"),
    ],
)
def test_each_rule_fires_on_what_it_forbids(monkeypatch, check, name, text):
    monkeypatch.setitem(TREES, name, ast.parse(SOUND + text))
    monkeypatch.setitem(LINES, name, (SOUND + text).splitlines())
    with pytest.raises(AssertionError):
        check.on(name)
