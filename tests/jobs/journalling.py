"""Runs that leave a journal, without any network."""

import os
from dataclasses import replace

from srcli.jobs.identity import digest, identity_of
from srcli.jobs.job import Job
from srcli.jobs.journal import RunRecord
from srcli.jobs.run_journal import OutputRecord, RunJournal
from srcli.jobs.settings import Settings
from srcli.media import atomic_file

SETTINGS = Settings("adaformer", "0" * 64, "x4", "balanced")
RUN = RunRecord(os.getpid(), "0", "adaformer", "0" * 64, "{}", "cpu, float32")


def run_journal(jobs: list[Job], settings: Settings = SETTINGS) -> RunJournal:
    return RunJournal(jobs, settings, wait=False, tell=print)


def make(led: RunJournal, job: Job, *, named: bool = True, marked: bool = True) -> None:
    """Do a job as far as it comes: whole on disk; named; marked as done."""
    now = identity_of(job.source)
    assert now is not None
    made = OutputRecord(replace(now, sha256=digest(job.source)), 4, 3, 0.5)
    job.target.parent.mkdir(parents=True, exist_ok=True)
    before_rename = led.before_rename(job, made)
    if not named:
        stray = job.target.with_name("stray")
        stray.write_bytes(b"larger " + job.source.read_bytes())
        before_rename(stray)
        return
    with atomic_file(job.target, before_rename) as stream:
        stream.write(b"larger " + job.source.read_bytes())
    if marked:
        led.done(job)
