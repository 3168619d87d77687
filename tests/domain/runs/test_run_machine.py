"""Signals in any order, repeated and late: the rules that a run never breaks."""

from __future__ import annotations

from tests.support.domain.run_machine import RunMachine

TestRunMachine = RunMachine.TestCase
