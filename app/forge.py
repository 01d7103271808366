"""Where server processes come from: one clean process imports the application once, and each worker is a copy of it.

It is heated before anything else is imported, so that it imports while the rest of the start goes on. It holds nothing
of the process that serves, no lock, no connection and no thread, and it ends when that one does, however that ended.
"""

import multiprocessing
import os
import pkgutil
import signal
import threading
from multiprocessing import forkserver
from typing import Any

FORGE = multiprocessing.get_context("forkserver")


def heat() -> None:
    """Begin importing, unless that began already."""
    FORGE.set_forkserver_preload(["app.worker"])
    forkserver.ensure_running()


def worker(environ: dict[str, str]) -> Any:
    """The application, in a copy of the forge: with the settings of the process that serves, and ending with it."""
    os.environ.clear()  # what the forge has is of before the start
    os.environ |= environ
    threading.Thread(target=_follow, name="follow", daemon=True).start()
    return pkgutil.resolve_name("app.worker:worker")()


def _follow() -> None:
    """End when the process that serves has ended; the forge ends when its last copy has."""
    if serving := multiprocessing.parent_process():
        serving.join()
        os.kill(os.getpid(), signal.SIGTERM)
