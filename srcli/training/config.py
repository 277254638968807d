"""Configuration of a training run."""

from dataclasses import asdict, dataclass, field

from srcli.data.degradation import DegradationRanges
from srcli.errors import UsageError
from srcli.training.exit_losses import EXITS
from srcli.training.families import NetworkConfig
from srcli.training.limits import faults

__all__ = [
    "DataConfig",
    "DistillationConfig",
    "LossConfig",
    "RunConfig",
    "ScheduleConfig",
    "TrainingConfig",
    "ValidationConfig",
    "WeightsConfig",
]

_SCHEDULES = ("cosine", "halving")
_COMPILE = ("never", "always", "auto")
_IMAGES = ("host", "device", "auto")
_PRECISIONS = ("auto", "fp32", "bf16")


@dataclass(frozen=True)
class WeightsConfig:
    """Description of the trained weights for the manifest.

    Args:
        name: File name without suffix.
        licence: SPDX expression.
        training_data: What it is trained on, with attribution.
    """

    name: str
    licence: str
    training_data: str


@dataclass(frozen=True)
class DataConfig:
    """Where patches come from.

    Args:
        folders: Folders of HR images, searched to any depth; empty: named when it runs.
        patch: Side of a patch, LR px, a multiple of the network's window.
        batch: Patches a step, over all processes.
        reductions: Factors below 1 by which large photographs are offered once more.
        large: HR px of the shorter side from which a photograph is large.
        memory_mb: MB of decoded HR pixels to keep.
        workers: Threads that decode and cut; processes that degrade LR patches for a device.
        images: Where decoded images lie: "host", "device", or "auto" for the device on CUDA.
        fit: Patches that the upsampler is fitted to when weights of another scale are the start.
    """

    folders: tuple[str, ...] = ()
    patch: int = 48
    batch: int = 16
    reductions: tuple[float, ...] = ()
    large: int = 1200
    memory_mb: int = 4000
    workers: int = 2
    images: str = "auto"
    fit: int = 1600


@dataclass(frozen=True)
class LossConfig:
    """Eq. 25 and how it is followed downhill.

    Args:
        uncertainty: The weight α of the uncertainty loss, or what `exits` has in its place.
        exits: What the confidence estimator learns: "uncertainty" (Eq. 17), or, as in Tab. 4,
            "increment" after APE or "ponder" after A-ViT.
        token_share: The share of the estimator's gradient that reaches the tokens, 0..1.
        eps: ε_h of the last phase, 0..1.
        clip: The largest norm of a step's gradient, loss in 8-bit units; 0 clips nothing.
        ema: Decay of the exponential average of the weights, which is what gets validated.
    """

    uncertainty: float = 1.0
    exits: str = "uncertainty"
    token_share: float = 0.1
    eps: float = 0.05
    clip: float = 100.0
    ema: float = 0.999


@dataclass(frozen=True)
class DistillationConfig:
    """A teacher whose outputs are targets beside the originals.

    A pixel's loss is weight · |sr - teacher| + (1 - weight) · |sr - hr|. The confidence
    estimator's loss stays with |sr - hr|.

    Args:
        teacher: Name of weights as `-m` takes it, or a weights file; empty: no teacher.
        weight: Of the distance to the teacher until `falls_from`, 0..1.
        last_weight: The same from `falls_until` on, 0..1.
        falls_from: Share of the run after which the weight falls, linearly; 1: it never does.
        falls_until: Share of the run after which it has fallen.
        self_ensemble: The teacher's output is its mean over the eight flips and turns of an image.
        own_size: The second half of a batch takes HR images as LR; the teacher is their target.
        cache: Folder for the teacher's outputs; empty: `teacher` in the run's folder.
        licence: The teacher's, for the manifest entry, where srcli does not know the file.
    """

    teacher: str = ""
    weight: float = 1.0
    last_weight: float = 0.0
    falls_from: float = 1.0
    falls_until: float = 1.0
    self_ensemble: bool = False
    own_size: bool = False
    cache: str = ""
    licence: str = ""


@dataclass(frozen=True)
class ScheduleConfig:
    """Learning rates over the run, whose length is `steps` or `minutes`, whichever ends first.

    Args:
        steps: Steps of the whole run; 0 leaves it to `minutes`.
        minutes: Minutes of the whole run, resumed parts added up; 0 leaves it to `steps`.
        lr: Backbone's learning rate, first phase.
        muon_lr: The same for its weight matrices, which Muon then takes over from Adam, rising and
            falling with `lr`; 0 leaves them to Adam.
        shape: How it falls in the first phase: cosine (to `halting_lr`) or halving.
        halvings: How often halving halves it.
        warmup: Share of the run over which it rises from 0.
        halting_from: Share of the run after which the last phase begins, with halting on.
        halting_lr: Backbone's learning rate at the start of the last phase; falls to 0.
        estimator_lr: The confidence estimator's learning rate, constant.
    """

    steps: int = 0
    minutes: float = 0.0
    lr: float = 2e-4
    muon_lr: float = 0.0
    shape: str = "cosine"
    halvings: int = 5
    warmup: float = 0.02
    halting_from: float = 0.85
    halting_lr: float = 2e-5
    estimator_lr: float = 1e-3


@dataclass(frozen=True)
class ValidationConfig:
    """Validation: sets and intervals.

    Args:
        sets: Folders with x{scale}/HR and x{scale}/LR in them.
        every_steps: Steps between validations; 0 leaves it to `every_minutes`.
        every_minutes: Minutes between validations; 0 leaves it to `every_steps`.
        last_minutes: What the last validation may take: sets that it does not get through have no
            figures; 0 sets no limit.
    """

    sets: tuple[str, ...] = ()
    every_steps: int = 0
    every_minutes: float = 10.0
    last_minutes: float = 0.0


@dataclass(frozen=True)
class RunConfig:
    """Use of the machine: device, precision, threads, intervals.

    Args:
        seed: Of the untrained parameters and of the order of the data.
        device: auto, cpu, cuda or mps.
        precision: fp32, bf16 (mixed), or auto for bf16 where the device computes it natively.
        compile: Compile the network first, a minute or more, then faster steps: "never", "always",
            or "auto" for CUDA alone.
        record: On CUDA, record a step as one graph and replay it.
        threads: Threads of a CPU step; 0 leaves it to torch.
        log_every: Steps between lines of the log.
        checkpoint_minutes: Minutes between checkpoints.
    """

    seed: int = 0
    device: str = "auto"
    precision: str = "auto"
    compile: str = "never"
    record: bool = True
    threads: int = 0
    log_every: int = 20
    checkpoint_minutes: float = 5.0


@dataclass(frozen=True)
class TrainingConfig:
    """A whole run.

    Args:
        weights: What is made.
        network: The network to train, its scale among the rest; in TOML, `family` says of which
            kind it is: "adaformer" (if nothing is said), "atd-light" or "camixer-atd-light".
        data: Where patches come from.
        degradation: Degradations of LR patches; by default nothing does.
        loss: What is minimised.
        distillation: A teacher, if there is one.
        schedule: How long, and how fast.
        validation: How progress is measured.
        run: How the machine is used.
    """

    weights: WeightsConfig
    network: NetworkConfig
    data: DataConfig = field(default_factory=DataConfig)
    degradation: DegradationRanges = field(default_factory=DegradationRanges)
    loss: LossConfig = field(default_factory=LossConfig)
    distillation: DistillationConfig = field(default_factory=DistillationConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    run: RunConfig = field(default_factory=RunConfig)

    def check(self) -> None:
        """Refuse values that cannot work together.

        Raises:
            UsageError: One line on the first of them.
        """
        for line in faults(self.weights.name, asdict(self)):
            raise UsageError(line)
        degradation = self.degradation
        pairs = {
            "jpeg_quality": (degradation.jpeg_quality, 1, 100),
            "webp_quality": (degradation.webp_quality, 1, 100),
            "h264_qp": (degradation.h264_qp, 0, 51),
            "noise_levels": (degradation.noise_levels, 0, 100),
            "blur_radii": (degradation.blur_radii, 0, 20),
        }
        for key, (pair, low, high) in pairs.items():
            if len(pair) != 2 or not low <= pair[0] <= pair[1] <= high:
                raise UsageError(
                    f"degradation.{key} is {list(pair)}: it must be [least, greatest] in "
                    f"{low}..{high}"
                )
        compressed = degradation.jpeg + degradation.webp + degradation.h264
        if compressed > 1:
            raise UsageError(
                f"degradation.jpeg, webp and h264 are {compressed:g} together: each patch is "
                "compressed in one way, so at most 1"
            )
        own_size = self.distillation.own_size
        if degradation.share and own_size and self.data.images == "device":
            raise UsageError(
                "data.images is 'device', with degradations and distillation.own_size: patches of "
                "own size are degraded from images on the host; hint: 'auto'"
            )
        words = {
            "loss.exits": (self.loss.exits, EXITS),
            "schedule.shape": (self.schedule.shape, _SCHEDULES),
            "run.precision": (self.run.precision, _PRECISIONS),
            "run.compile": (self.run.compile, _COMPILE),
            "data.images": (self.data.images, _IMAGES),
        }
        for key, (word, have) in words.items():
            if word not in have:
                raise UsageError(f"{key} is {word!r}: have {', '.join(have)}")
        window, schedule, network = self.network.window, self.schedule, self.network
        teaching = self.distillation
        unfit = {
            f"network.dim is {network.dim}: it must be a multiple of heads, {network.heads}": (
                network.dim % network.heads != 0
            ),
            f"data.patch is {self.data.patch}: it must be a multiple of the window, {window}": (
                self.data.patch % window != 0
            ),
            f"data.reductions are {self.data.reductions}: each must lie between 0 and 1": any(
                not 0 < r < 1 for r in self.data.reductions
            ),
            "schedule has no end; hint: set schedule.steps or schedule.minutes": (
                schedule.steps == 0 and schedule.minutes == 0
            ),
            f"schedule.warmup is {schedule.warmup} and halting_from {schedule.halting_from}: "
            "they must rise from 0 to 1": schedule.warmup >= schedule.halting_from,
            f"distillation.falls_from is {teaching.falls_from} and falls_until "
            f"{teaching.falls_until}: the weight cannot end falling before it begins": (
                teaching.falls_from > teaching.falls_until
            ),
            "distillation.own_size is true without a teacher; hint: name a distillation.teacher": (
                teaching.own_size and not teaching.teacher
            ),
            f"distillation.own_size is true with a batch of {self.data.batch}: half a batch is of "
            "such patches; hint: set data.batch to 2 or more": (
                teaching.own_size and self.data.batch < 2
            ),
        }
        for line, wrong in unfit.items():
            if wrong:
                raise UsageError(line)
