"""The work of `srcli upscale --cluster`: connect, start workers, hand out images and segments."""

import threading
import time
from collections.abc import Sequence

from srcli.cli.upscale_plan import RunContext, RunPlan
from srcli.cli.upscale_work import (
    batch_options,
    collect,
    network_request,
    run_jobs,
    run_record,
    scale_notes,
)
from srcli.cluster.connection import connected, node_resources
from srcli.cluster.dispatch import run_on_workers
from srcli.cluster.messages import WorkerSetup
from srcli.cluster.segment_work import segments_on_workers
from srcli.cluster.weights_set import weights_hashes
from srcli.cluster.worker_pool import WorkerPool
from srcli.cluster.worker_sizes import worker_size
from srcli.jobs.image_stages import encoders_among
from srcli.jobs.job import BatchResult, Job
from srcli.media import DecodeLimits
from srcli.url_paths import passwords

__all__ = ["run_jobs_on_cluster"]


def run_jobs_on_cluster(
    images: Sequence[Job],
    clips: Sequence[Job],
    context: RunContext,
    stopping: threading.Event,
    result: BatchResult,
) -> None:
    """Have images, then segments of clips, done by a cluster's workers.

    Arguments as of `run_jobs`. Clips are read, joined and completed with sound by this process;
    animations, and frames for a folder, are its own work.

    Raises:
        UsageError: There is no such cluster, or it is too small.
        ClusterError: None of its workers can do the work.
    """
    plan, reporter, options = context.plan, context.reporter, context.plan.options.cluster
    assert options.address is not None
    for line in scale_notes(plan):
        reporter.note(line)
    began = time.monotonic()
    with connected(options.address) as ray:
        size = worker_size(node_resources(ray), options.workers, options.gpus_per_worker)
        setup = _setup(plan, context.decoder.limits, size.cores)
        with WorkerPool(ray, size, setup, reporter.note) as pool:
            start = pool.wait_for_first(stopping.is_set)
            if start is None:
                result.interrupted = True
                return
            reporter.note(f"the cluster is ready after {time.monotonic() - began:.1f} s")
            context.run_journal.begin(run_record(plan, start.resolved), images)
            ends = run_on_workers(
                images,
                pool,
                run_journal=context.run_journal,
                stopping=stopping,
                observer=reporter,
                decoder=context.decoder,
            )
            try:
                collect(ends, context, stopping, result)
                if clips and not result.interrupted:
                    maker = segments_on_workers(pool, stopping, reporter.note)
                    run_jobs((), clips, context, stopping, result, maker)
            finally:
                plural = "" if size.count == 1 else "s"
                result.device = f"{size.count} worker{plural}: {'; '.join(sorted(pool.devices))}"


def _setup(plan: RunPlan, limits: DecodeLimits, cores: int) -> WorkerSetup:
    """All that workers need to know."""
    return WorkerSetup(
        network_request(plan),
        weights_hashes(plan.options.network.model),
        batch_options(plan),
        limits,
        encoders=encoders_among(cores),
        passwords=passwords(),
    )
