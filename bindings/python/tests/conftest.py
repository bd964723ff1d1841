# SPDX-License-Identifier: Apache-2.0
"""What the tests share: the bundled model, and exit status 77 where all tests of a run were skipped (CTest counts it)."""

import pathlib

import pytest

import quamba2

ROOT = pathlib.Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def demo():
    return ROOT / "models" / "demo"


@pytest.fixture(scope="session")
def model(demo):
    return quamba2.Model.load(demo, threads=2)


class Outcome:
    def __init__(self):
        self.ran, self.reason = False, ""

    def pytest_runtest_logreport(self, report):
        self.note(report, report.when == "call")

    def pytest_collectreport(self, report):
        self.note(report, False)

    def note(self, report, ran):
        if report.skipped:
            self.reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        elif ran or report.failed:
            self.ran = True


def pytest_configure(config):
    config.pluginmanager.register(Outcome(), "outcome")


def pytest_sessionfinish(session):
    outcome = session.config.pluginmanager.get_plugin("outcome")
    if outcome.reason and not outcome.ran:
        print("\nSKIP:", outcome.reason.removeprefix("Skipped: "))
        session.exitstatus = 77
