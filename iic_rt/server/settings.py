"""What the server is told."""

from __future__ import annotations

from dataclasses import dataclass

from iic_rt.errors import InputError

__all__ = ["ServerSettings"]


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """How the server behaves; limits hold for every request.

    Attributes:
        workers: inpainters, each in a thread of its own.
        queue: requests that may wait for a worker; more are told to come back later (429).
        token: what clients must know; None for everybody.
        hosts: names that the server is reached by, beside ``localhost`` and addresses.
        origins: pages of other sites that may use the server, such as ``https://example.org``.
        max_megapixels: of an image or a mask.
        max_bytes: of a request.
        kiosk: the page is for passers-by.
        idle_seconds: after which the page of a kiosk forgets everything.

    Raises:
        InputError: a value is none of those allowed.
    """

    workers: int = 1
    queue: int = 32
    token: str | None = None
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    max_megapixels: float = 50.0
    max_bytes: int = 64 * 2**20
    kiosk: bool = False
    idle_seconds: float = 60.0

    def __post_init__(self) -> None:
        if self.workers < 1 or self.queue < 1:
            raise InputError(f"workers is {self.workers} and queue {self.queue}; give whole numbers from 1 up")
        if not self.max_megapixels > 0 or self.max_bytes < 1:
            raise InputError(
                f"max_megapixels is {self.max_megapixels} and max_bytes {self.max_bytes}; give numbers above 0"
            )
        if not self.idle_seconds > 0:
            raise InputError(f"idle is {self.idle_seconds}; give seconds above 0")
        if self.token is not None and len(self.token) < 16:
            raise InputError("the token is shorter than 16 characters; make one with `openssl rand -hex 24`")
        for origin in self.origins:
            scheme, _, rest = origin.partition("://")
            if scheme not in ("http", "https") or not rest or "/" in rest:
                raise InputError(f"{origin!r} is no origin; give a scheme and a name, such as https://example.org")
