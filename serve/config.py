"""Every setting of `preceptor serve`, as frozen dataclasses validated at birth; `--set a.b=value` changes one."""

import ipaddress
import math
import os
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.checks import positive
from pipelines.errors import UsageError

MIB = 1 << 20


def _positive(section: str, settings: object, *names: str) -> None:
    for name in names:
        positive(f"{section}.{name}", getattr(settings, name))


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """Where the server listens, and for whom."""

    host: str = "127.0.0.1"
    port: int = 8000
    tls_cert_file: str = ""
    """PEM file; with `tls_key_file` the server speaks HTTPS only."""
    tls_key_file: str = ""
    keys_file: str = ""
    """Where `preceptor serve keys` keeps hashed keys; empty: `~/.config/preceptor/serve-keys.json`."""
    keyless: bool = False
    """Answer without a key. Loopback only."""
    drain_s: float = 120.0
    """After SIGTERM, running requests may take this long to finish; new ones are refused at once."""

    def __post_init__(self) -> None:
        _positive("http", self, "drain_s")
        if not 0 < self.port < 65536:
            raise UsageError(f"http.port must lie between 1 and 65535, not {self.port}.")
        if bool(self.tls_cert_file) != bool(self.tls_key_file):
            raise UsageError("http.tls_cert_file and http.tls_key_file must be set together.")
        if self.keyless and not self.loopback:
            raise UsageError(f"--keyless is for the loopback address only, not for {self.host}; make a key instead.")

    @property
    def loopback(self) -> bool:
        """Whether only this machine can connect."""
        try:
            return self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback
        except ValueError:  # a name: it may resolve to anything
            return False

    @property
    def keys_path(self) -> Path:
        """The file with the hashed keys."""
        return Path(self.keys_file).expanduser() if self.keys_file else default_keys_path()


def default_keys_path() -> Path:
    """`$XDG_CONFIG_HOME/preceptor/serve-keys.json`, by default under `~/.config`."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "preceptor" / "serve-keys.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings:
    """What one request, and one key, may ask for."""

    request_bytes: int = 64 * MIB
    """Body of one request; base64 makes a file a third larger."""
    body_timeout_s: float = 60.0
    """A body must have arrived within this time."""
    request_timeout_s: float = 600.0
    """A request without an answer by then is ended."""
    messages: int = 256
    parts: int = 512
    """Content parts of all messages together."""
    text_chars: int = 1_000_000
    """Text of all messages together; the model's context is checked after tokenization."""
    max_tokens: int = 4096
    """The most one request may ask to have generated, and what it gets where it does not say."""
    choices: int = 8
    """The most alternatives (`n`) of one request."""
    schema_chars: int = 16_384
    """JSON schema of a structured reply."""
    requests_per_minute: float = 600.0
    """Rate of one key; without keys, of all callers together."""
    burst: int = 60
    """Requests of one key that may come at once."""

    def __post_init__(self) -> None:
        _positive("limits", self, *self.__dataclass_fields__)


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaSettings:
    """Pictures and videos: what is accepted, and what the model sees of it."""

    images: int = 16
    """Pictures of one request, sent singly."""
    videos: int = 2
    """Videos of one request."""
    image_pixels: int = 16_000_000
    """A larger picture is refused before it is decoded."""
    min_side_px: int = 28
    """A smaller side is refused: one visual token of Qwen2-VL is 28 pixels wide."""
    max_aspect: float = 100.0
    """Longer side over shorter; Qwen2-VL's processor refuses 200."""
    video_seconds: float = 300.0
    """A longer video is refused; the curated clips are at most 300 s."""
    video_pixels: int = 8_294_400
    """Pixels of one frame before it is reduced (3840 x 2160)."""
    video_fps: float = 1.0
    """Frames taken per second (published: 1), fewer where they would exceed `frames`."""
    frames: int = 64
    """Frames of one video: taken from a file, or sent by the client."""
    frame_pixels: int = 448 * 448
    """A larger frame is reduced to this many pixels."""
    allowed_hosts: tuple[str, ...] = ()
    """Hosts that `https://` media may come from: names, `*.example.org` for all below one, or `*`. Empty: none."""
    private_networks: tuple[str, ...] = ()
    """Private networks that media may come from nevertheless, such as `10.1.0.0/16`."""
    ca_file: str = ""
    """Further certificate authorities of media hosts (PEM)."""
    fetch_timeout_s: float = 30.0
    redirects: int = 3
    decoders: int = 2
    """Children that decode, of each gateway replica."""
    decode_timeout_s: float = 30.0
    """One picture or video may take this long ..."""
    decode_timeout_per_second: float = 0.5
    """... and this much per second of video."""
    decoder_memory_gib: float = 2.0

    def __post_init__(self) -> None:
        _positive("media", self, *(n for n, f in self.__dataclass_fields__.items() if f.type in (int, float, "int", "float")
                                   and n not in ("redirects", "images", "videos")))  # fmt: skip
        for name in ("redirects", "images", "videos"):
            if getattr(self, name) < 0:
                raise UsageError(f"media.{name} must be at least 0, not {getattr(self, name)}.")
        for network in self.private_networks:
            try:
                ipaddress.ip_network(network)
            except ValueError as error:
                raise UsageError(f"media.private_networks holds '{network}', which is no network: {error}.") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """vLLM, one engine a replica."""

    name: str = ""
    """The model's name in requests; empty: the folder's or the hub's own name."""
    dtype: str = "auto"
    max_model_len: int = 0
    """Context in tokens; 0: the model's own."""
    gpus: int = 0
    """GPUs of one replica (tensor parallel); 0: CPU."""
    cpus: float = 2.0
    threads: int = 0
    """OpenMP threads on a CPU; 0: as many as `cpus`."""
    gpu_memory_share: float = 0.9
    cpu_cache_gib: int = 1
    """Key-value cache on a CPU."""
    start_timeout_s: float = 1800.0

    def __post_init__(self) -> None:
        if self.dtype not in ("auto", "float32", "float16", "bfloat16"):
            raise UsageError(f"engine.dtype must be auto, float32, float16 or bfloat16, not '{self.dtype}'.")
        _positive("engine", self, "cpus", "cpu_cache_gib", "start_timeout_s")
        if self.max_model_len < 0 or self.gpus < 0 or self.threads < 0:
            raise UsageError("engine.max_model_len, engine.gpus and engine.threads must be at least 0.")
        if not 0 < self.gpu_memory_share <= 1:
            raise UsageError(f"engine.gpu_memory_share must lie between 0 and 1, not {self.gpu_memory_share}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingSettings:
    """How many replicas, and when a request is refused rather than queued."""

    min_replicas: int = 1
    max_replicas: int = 1
    running: int = 32
    """Requests one replica works on at a time."""
    target: int = 16
    """Mean requests a replica at which another is started; must be less than `running`, or it is never reached."""
    queued: int = 32
    """Requests of each gateway that wait for a replica; the next one is answered 429. While replicas are added, as many
    more may wait as `min_replicas` run."""
    retry_after_s: int = 2
    """What such an answer says."""
    gateways: int = 1
    """Gateway replicas; each enforces its share of the rates."""
    upscale_delay_s: float = 30.0
    downscale_delay_s: float = 600.0

    def __post_init__(self) -> None:
        _positive("scaling", self, *self.__dataclass_fields__)
        if self.min_replicas > self.max_replicas:
            raise UsageError(f"scaling.min_replicas={self.min_replicas} is more than max_replicas={self.max_replicas}.")
        if self.max_replicas > self.min_replicas and self.target >= self.running:
            raise UsageError(
                f"scaling.target={self.target} must be less than scaling.running={self.running}, or it never scales."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeConfig:
    """A whole server."""

    http: HttpSettings = HttpSettings()
    limits: LimitSettings = LimitSettings()
    media: MediaSettings = field(default_factory=MediaSettings)
    engine: EngineSettings = EngineSettings()
    scaling: ScalingSettings = ScalingSettings()

    @property
    def admitted(self) -> int:
        """Requests one gateway holds at a time: its share of all that may run, and those that wait."""
        return self._share_of(self.scaling.max_replicas) + self.scaling.queued

    @property
    def unassigned(self) -> int:
        """Requests of one gateway that no replica has yet taken. Ray Serve counts a request that is about to be taken as
        one that waits, and would refuse a burst for which there is room: those that can run count too."""
        return self._share_of(self.scaling.min_replicas) + self.scaling.queued

    def _share_of(self, replicas: int) -> int:
        return math.ceil(replicas * self.scaling.running / self.scaling.gateways)
