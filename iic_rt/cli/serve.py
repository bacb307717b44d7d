"""``iic-rt serve``: the HTTP server."""

from __future__ import annotations

import argparse
import logging
import math
import sys
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iic_rt.cli.arguments import (
    VIDEO_ITERATIONS,
    add_filling,
    fill_options,
    inpainter_settings,
    number,
    share_threads,
    whole,
)
from iic_rt.cli.messages import DamageSaid
from iic_rt.cli.one_heap import share_one_heap
from iic_rt.decoder_noise import noise_told_to
from iic_rt.errors import InputError
from iic_rt.inpainter import Inpainter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from iic_rt.server.live import LiveView

__all__ = ["add_serve"]

EPILOG = """examples:
  iic-rt serve                                                 the page is at http://127.0.0.1:8080
  iic-rt serve --host 0.0.0.0 --token-file token --allow-host kiosk.example.org
  iic-rt serve --kiosk --idle 90 --live 0 --mask motion        a kiosk, and the camera at /live
"""


def add_serve(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    serve = commands.add_parser(
        "serve",
        help="a page and an HTTP API",
        description="Serves a page and an HTTP API, which clients of IOPaint can use too.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    serve.add_argument("--host", default="127.0.0.1", help="address to listen at (default %(default)s)")
    serve.add_argument("--port", type=whole(0, 65535), default=8080, help="default %(default)s; 0 for any that is free")
    serve.add_argument(
        "--workers", type=whole(1), default=1, metavar="N", help="images filled at once (default %(default)s)"
    )
    serve.add_argument(
        "--queue", type=whole(1), default=32, metavar="N", help="requests that may wait (default %(default)s)"
    )
    access = serve.add_argument_group("access")
    access.add_argument("--token-file", type=Path, metavar="FILE", help="holds the token that clients must send")
    access.add_argument(
        "--allow-host",
        nargs="+",
        default=[],
        metavar="NAME",
        help="names that the server is called by, beside localhost and addresses",
    )
    access.add_argument(
        "--allow-origin", nargs="+", default=[], metavar="URL", help="pages of other sites that may use it"
    )
    limits = serve.add_argument_group("limits")
    limits.add_argument(
        "--max-megapixels", type=number(above=0), default=50.0, metavar="N", help="of an image (default %(default)g)"
    )
    limits.add_argument(
        "--max-bytes", type=whole(1), default=64 * 2**20, metavar="N", help="of a request (default %(default)s)"
    )
    page = serve.add_argument_group("page")
    page.add_argument("--kiosk", action="store_true", help="for passers-by: large buttons, and nothing leads away")
    page.add_argument(
        "--idle",
        type=number(above=0),
        default=60.0,
        metavar="SECONDS",
        help="after which a kiosk forgets everything (default %(default)g)",
    )
    live = serve.add_argument_group("live view")
    live.add_argument("--live", metavar="SOURCE", help="show a camera or video at /live; as IN of `iic-rt video`")
    live.add_argument("--mask", help="of its frames, until one is drawn; as --mask of `iic-rt video`")
    add_filling(serve.add_argument_group("filling"))
    serve.set_defaults(run=run_serve)


def run_serve(arguments: argparse.Namespace) -> int:
    try:
        from iic_rt.server.app import create_app
        from iic_rt.server.run import run_server
        from iic_rt.server.settings import ServerSettings
    except ImportError as error:
        raise InputError(f"the server needs more packages ({error.name}): pip install 'iic-rt[server]'") from error
    settings = ServerSettings(
        workers=arguments.workers,
        queue=arguments.queue,
        token=None if arguments.token_file is None else _read_token(arguments.token_file),
        hosts=tuple(arguments.allow_host) + (arguments.host,) * (arguments.host not in ("0.0.0.0", "::")),
        origins=tuple(arguments.allow_origin),
        max_megapixels=arguments.max_megapixels,
        max_bytes=arguments.max_bytes,
        kiosk=arguments.kiosk,
        idle_seconds=arguments.idle,
    )
    if arguments.mask and not arguments.live:
        raise InputError("--mask is for --live, which is missing; masks of requests come with them")
    share_one_heap()
    options = fill_options(arguments)
    share_threads(arguments)
    open_inpainter = partial(Inpainter, options=options, **inpainter_settings(arguments))
    open_live = partial(open_inpainter, options=replace(options, iterations=VIDEO_ITERATIONS))
    with _logged(), noise_told_to(DamageSaid(logging.getLogger("iic_rt.server").warning)):
        app = create_app(open_inpainter, settings, options=options, live=_live_view(arguments, open_live))
        run_server(app, host=arguments.host, port=arguments.port)
    return 0


def _read_token(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the token file {path} cannot be read: {error}") from error


def _live_view(arguments: argparse.Namespace, open_inpainter: Any) -> LiveView | None:
    if arguments.live is None:
        return None
    from iic_rt.server.live import LiveView
    from iic_rt.video.frame_masks import open_masks
    from iic_rt.video.mask_words import parse_masks
    from iic_rt.video.places import parse_sources
    from iic_rt.video.readers import open_reader

    sources = parse_sources(arguments.live)
    if len(sources) > 1:
        raise InputError(f"--live {arguments.live} names {len(sources)} videos; name one")
    (source,) = sources
    return LiveView(
        source,
        open_reader=partial(open_reader, source, reconnect=math.inf),
        open_mask=lambda: None if arguments.mask is None else open_masks(parse_masks(arguments.mask)),
        open_inpainter=open_inpainter,
    )


@contextmanager
def _logged() -> Iterator[None]:
    """What the server and the cameras log goes to stderr, with the time."""
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logs = [logging.getLogger(name) for name in ("iic_rt.server", "iic_rt.video", "uvicorn.error")]
    levels = [log.level for log in logs]
    for log, level in zip(logs, (logging.INFO, logging.WARNING, logging.WARNING), strict=True):
        log.addHandler(handler)
        log.setLevel(level)
    try:
        yield
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.removeHandler(handler)
            log.setLevel(level)
