"""What the README shows is what runs: its YAML is a valid configuration, its Python names exist, its commands too."""

import re
from pathlib import Path

import yaml
from in_process import threea

import threea_spark
from threea_spark import ReleaseConfig

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()
MAKEFILE = (Path(__file__).resolve().parents[2] / "Makefile").read_text()


def block(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_the_yaml_is_a_valid_configuration():
    (text,) = block("yaml")
    config = ReleaseConfig.from_dict(yaml.safe_load(text))
    assert config.privacy.epsilon == 1.0
    assert config.domain.label == "died"


def test_the_python_uses_public_names_only():
    (code,) = block("python")
    compile(code, "README.md", "exec")
    imported = re.search(r"from threea_spark import (.*)", code).group(1).split(", ")
    assert set(imported) <= set(threea_spark.__all__)


def test_the_commands_exist(tmp_path):
    for target in re.findall(r"^make (\w+)", "\n".join(block("sh")), flags=re.MULTILINE):
        assert f"\n{target}:" in MAKEFILE
    helped = threea("--help", cwd=tmp_path)
    assert helped.returncode == 0
    for command in set(re.findall(r"`threea (\w+)", README)):
        assert command in helped.stdout
