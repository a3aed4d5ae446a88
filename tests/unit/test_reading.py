import pytest

from threea_spark.config.category_text import value_text
from threea_spark.config.domain import Domain
from threea_spark.config.release import ReleaseConfig
from threea_spark.config.yaml_files import quoted, read_yaml, written_yaml
from threea_spark.errors import ConfigError

RELEASE = """
source: {table: main.ehr.stays, version: 12}
target: {table: main.released.stays}
privacy: {epsilon: 1.0, delta: 1.0e-6, unit: {column: patient_id, max_rows: 4}}
domain:
  label: died
  columns:
    age: {type: integer, lower: 0, upper: 120, nullable: true}
    admitted: {type: timestamp, lower: 2010-01-01, upper: 2030-01-01}
    died: {type: categorical, values: [no, yes]}
    1: {type: categorical, values: open}
"""


def written(tmp_path, text, name="release.yaml"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_release_is_read(tmp_path):
    config = ReleaseConfig.from_yaml(written(tmp_path, RELEASE))
    assert config.source.version == 12
    assert config.domain.columns["admitted"].lower_number == 1_262_304_000.0
    assert list(config.domain.columns) == ["age", "admitted", "died", "1"]
    assert config.selects_categories


def test_words_that_yaml_1_1_took_for_booleans_or_times_are_text(tmp_path):
    assert ReleaseConfig.from_yaml(written(tmp_path, RELEASE)).domain.classes == ("no", "yes")
    words = "values: [NO, Yes, on, off, n, 9:30, 1:2:3, TODO, 1-2, 'null']"
    assert read_yaml(written(tmp_path, words))["values"] == words[9:-1].replace("'", "").split(", ")


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("02134", "2134"), ("001", "1"), ("1_000", "1000"), ("18_25", "1825"), ("250.10", "250.1"), ("4e1", "40.0"),
        ("1e3", "1000.0"), ("+44", "44"), ("0x1F", "31"), ("0o17", "15"), ("True", "true"), ("FALSE", "false"),
        (".inf", "inf"), ("-0", "0"), ("1.", "1.0"), ("2020-01-01T10:00:00", "2020-01-01 10:00:00"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", ["a: {{values: [b, {}]}}\n", "a:\n  values:\n  - b\n  - {}\n"])
def test_a_category_that_yaml_would_change_is_refused_with_its_line_and_its_quotes(tmp_path, form, text, read):
    path = written(tmp_path, "c: 1\n" + form.format(text))
    with pytest.raises(ConfigError) as caught:
        read_yaml(path)
    line = 2 if "[" in form else 5
    assert f"line {line}: YAML reads {text} as {read}; quote" in str(caught.value)
    assert f'"{text}"' in str(caught.value)
    assert read_yaml(written(tmp_path, "c: 1\n" + form.format(f'"{text}"')))["a"]["values"] == ["b", text]


@pytest.mark.parametrize(
    "values", ["1, 2, -3, 10", "0.5, 1.0, 2.5", "true, false", "2020-01-31", "12345678901234567890"]
)
def test_numbers_days_and_booleans_as_they_are_usually_written_need_no_quotes(tmp_path, values):
    found = read_yaml(written(tmp_path, f"values: [{values}]"))["values"]
    assert [value_text(value) for value in found] == values.split(", ")


def test_all_lists_to_quote_are_told_at_once_and_other_numbers_may_be_written_as_one_likes(tmp_path):
    text = "a: {values: [01, 02, 03, 04, 5]}\nb: {values: &b [1e1]}\nc: {values: *b, lower: 1_000, upper: 1e6}\n"
    with pytest.raises(ConfigError) as caught:
        read_yaml(written(tmp_path, text))
    first, one, two = str(caught.value).splitlines()
    assert first.endswith("2 list(s) of categories to quote")
    assert "01 as 1, 02 as 2, 03 as 3 and 1 more" in one
    assert one.endswith('"01", "02", "03", "04"')
    assert two.startswith("  line 2: YAML reads 1e1 as 10.0")
    assert read_yaml(written(tmp_path, "lower: 1_000\nupper: 1e6")) == {"lower": 1000, "upper": 1e6}


@pytest.mark.parametrize("character", ["\x7f", "\x8c", "\x07", "\x1b"])
def test_a_character_that_yaml_does_not_allow_is_named_with_its_escape(tmp_path, character):
    path = written(tmp_path, f'a: 1\n"b{character}": 2\n')
    with pytest.raises(ConfigError) as caught:
        read_yaml(path)
    code = f"{ord(character):02x}"
    assert str(caught.value) == (
        f'{path}: line 2: YAML does not allow the character U+00{code.upper()}; write it as "\\x{code}"'
    )


ODD_NAMES = [
    "caf\u00e9", "fan?\x8c\u00e6", "a\x7fb", "a\x85b", "a\u2028b", "a\u2029b", "\ufeffid", "a\ufffdb",
    "emoji \U0001f600", "tab\tname", "new\nline", "a\rb", "a'b\"c", "back\\slash", "x: y", "# hash", "null",
    "a\u00a0b ", "", "\x00", "no", "1", "\ue000", "\U000e0001", "{a}", "%s",
]  # fmt: skip


@pytest.mark.parametrize("name", ODD_NAMES)
def test_what_is_quoted_is_read_as_it_was(tmp_path, name):
    assert read_yaml(written(tmp_path, f"{quoted(name)}: [{quoted(name)}, {{{quoted(name)}: 1}}]")) == {
        name: [name, {name: 1}]
    }
    assert read_yaml(written(tmp_path, written_yaml({name: [name, {name: 1.5}]}))) == {name: [name, {name: 1.5}]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3\n", "line 3: 'a' is given twice; keep one of them"),
        ("x:\n  a: 1\n  a: 2\n", "line 3: 'a' is given twice"),
        ("x: {a: {b: 1, b: 1}}", "line 1: 'b' is given twice"),
        ("1: a\n'1': b\n", "line 2: '1' is given twice"),
        ("a: [1, 2\n", "line 2:"),
        ("a: !!python/object/apply:os.system [ls]", "could not determine a constructor"),
        ("- 1\n- 2\n", "must be a mapping of fields"),
        ("", "must be a mapping of fields"),
        ("just text", "must be a mapping of fields"),
        (b"\xff\xfe\x00", "is not UTF-8 text; save it as UTF-8"),
    ],
)
def test_what_is_no_sound_yaml_is_refused_by_line(tmp_path, text, expected):
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        read_yaml(path)
    assert expected in str(caught.value)
    assert str(caught.value).startswith(str(path))
    assert len(str(caught.value).splitlines()) == 1


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: cannot be read"):
        read_yaml(tmp_path / "nowhere.yaml")


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        read_yaml(tmp_path)


def test_a_domain_may_lie_in_a_file_of_its_own(tmp_path):
    written(tmp_path, "task: none\ncolumns: {age: {type: integer, lower: 0, upper: 120}}", "stays.domain.yaml")
    head = RELEASE.split("domain:")[0]
    config = ReleaseConfig.from_yaml(written(tmp_path, head + "domain: {file: stays.domain.yaml}"))
    assert list(config.domain.columns) == ["age"]
    with pytest.raises(ConfigError, match="elsewhere"):
        ReleaseConfig.from_yaml(written(tmp_path, head + "domain: {file: elsewhere.yaml}"))


def test_a_broken_rule_names_its_file(tmp_path):
    path = written(tmp_path, "columns: {a: {type: integer, lower: 9, upper: 1}}\ntask: none\n")
    with pytest.raises(ConfigError, match="1 problem") as caught:
        Domain.from_yaml(path)
    assert str(caught.value).startswith(f"{path}: 1 problem to fix\n  columns.a: lower must be below upper")


def test_keys_are_names_as_they_are_written(tmp_path):
    text = "1: a\n2020-01-01: b\ntrue: c\nno: d\n1.0: e\n'quoted': f\nnull: g\n"
    assert read_yaml(written(tmp_path, text)) == {
        "1": "a",
        "2020-01-01": "b",
        "true": "c",
        "no": "d",
        "1.0": "e",
        "quoted": "f",
        "null": "g",
    }


def test_defaults_may_be_merged_and_overruled(tmp_path):
    text = "base: &b {x: 1, y: 2}\nown: {<<: *b, y: 3}\n"
    assert read_yaml(written(tmp_path, text))["own"] == {"x": 1, "y": 3}


@pytest.mark.parametrize("text", ["? [a, b]\n: 1\n", "? {a: 1}\n: 2\n"])
def test_a_key_that_is_no_plain_value_is_refused(tmp_path, text):
    with pytest.raises(ConfigError, match="line 1: a key must be plain text"):
        read_yaml(written(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-6", 1e-6), ("1E5", 1e5), ("-3.e2", -300.0), ("1.0e-6", 1e-6), ("1e-6x", "1e-6x"), ("e6", "e6")],
)
def test_numbers_with_an_exponent_need_no_point(tmp_path, text, value):
    (tmp_path / "a.yaml").write_text(f"a: {text}\n")
    assert read_yaml(tmp_path / "a.yaml") == {"a": value}


@pytest.mark.parametrize("place", ["a value", "a value in a list", "a key"])
def test_a_number_that_python_cannot_write_out_is_refused_without_a_trace(place, capfd):
    endless = 10**5_000
    privacy = {"a value": {"epsilon": endless}, "a value in a list": {"epsilon": [endless]}, "a key": {endless: 1}}
    with pytest.raises(ConfigError, match=r"privacy.*: is a number too long for any field; write a shorter one$"):
        ReleaseConfig.from_dict({"privacy": privacy[place]})
    assert capfd.readouterr().err == ""


def test_a_list_that_holds_itself_is_refused_without_a_trace(capfd):
    endless = []
    endless.append(endless)
    with pytest.raises(ConfigError, match=r"source: is nested too deeply; write it flatter$"):
        ReleaseConfig.from_dict({"source": endless})
    assert capfd.readouterr().err == ""


def test_aliases_of_aliases_are_not_walked_one_by_one(tmp_path):
    levels = ["a0: &a0 [1, 1]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30))]
    with pytest.raises(ConfigError, match="a29: is not a known field"):  # 10 ** 30 values, written out
        ReleaseConfig.from_yaml(written(tmp_path, "\n".join(levels)))
