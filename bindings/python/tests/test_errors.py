# SPDX-License-Identifier: Apache-2.0
"""The library's errors are Python's, with all they say."""

import logging
import pathlib
import subprocess
import sys

import pytest

import quamba2


def test_a_missing_model_is_a_model_file_error(tmp_path):
    with pytest.raises(quamba2.ModelFileError) as caught:
        quamba2.Model.load(tmp_path / "absent")
    assert caught.value.code == 3
    assert str(tmp_path / "absent") in str(caught.value)
    assert caught.value.why and isinstance(caught.value, quamba2.Error)


def test_options_out_of_range_are_value_errors_too(demo, model):
    with pytest.raises(ValueError):
        model.generate("a", temperature=-1)
    with pytest.raises(quamba2.UsageError) as caught:
        quamba2.Model.load(demo, device="abacus")
    assert "abacus" in str(caught.value)


def test_options_that_are_not_known_or_of_another_type_are_type_errors(model):
    with pytest.raises(TypeError, match="sauce"):
        model.generate("a", sauce=1)
    with pytest.raises(TypeError, match="max_tokens"):
        model.generate("a", max_tokens="many")


def test_messages_of_the_library_are_logged(demo, tmp_path, caplog):
    caplog.set_level(logging.DEBUG, logger="quamba2")
    with pytest.raises(quamba2.Interrupted):
        quamba2.quantize(demo, tmp_path / "out", samples=1, window=32, progress=lambda stage, done, total: done < 1)
    assert any(record.name == "quamba2" for record in caplog.records)


def test_an_interpreter_that_ends_with_texts_half_grown_ends_well(demo):
    script = (f"import quamba2; m = quamba2.Model.load({str(demo)!r}); g = m.generate('a'); next(g); s = m.session();"
              "s.prefill([1, 2]); print(len(g.ids))")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")


def test_the_package_is_typed():
    assert (pathlib.Path(quamba2.__file__).parent / "py.typed").exists()
    stub = (pathlib.Path(quamba2._core.__file__).parent / "_core.pyi").read_text()
    assert "def prefill(self, ids: object) -> numpy.typing.NDArray[numpy.float32]" in stub
