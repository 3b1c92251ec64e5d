"""The packages of the build benchmark: zips of files of this machine, and a feed that serves them.

It refuses to know who builds images of them. Invariant: no file is in the packages of two platforms.
"""

import concurrent.futures
import contextlib
import functools
import http.server
import json
import os
import random
import stat
import sys
import threading
import zipfile
import zlib
from pathlib import Path

import lab

RUNTIMES = {"amd64": "x64", "arm64": "arm64"}  # what a package's name calls a platform
SIZES = range(50_000, 20_000_000)  # bytes of a file: what weighs something


def real_files():
    """What images are made of: a toolchain, libraries, an interpreter's packages, and the rest."""
    toolchain = Path(lab.output("rustc", "--print", "sysroot")) / "lib"
    homes = [toolchain, Path("/usr/lib/x86_64-linux-gnu"), Path(sys.prefix) / "lib", Path("/usr")]
    for home in homes:
        for directory, below, names in os.walk(home):
            below.sort()
            for path in (Path(directory, name) for name in sorted(names)):
                if path.is_file() and not path.is_symlink() and os.access(path, os.R_OK):
                    yield path
    raise SystemExit("this machine has not enough files; hint: --megabytes with a smaller number")


def make(directory, versions, megabytes, changed):
    """Packages of about so many MB for each platform, in two versions that differ in `changed` bytes of their files.

    As the product's, they are twice as large when they are unpacked: half of each zip is noise, which stands for what is
    compressed already: pictures, fonts, archives."""
    files = (path for path in real_files() if path.stat().st_size in SIZES)
    jobs = []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for runtime, chosen in _choose(files, megabytes * 1_000_000).items():
            for version, differing in zip(versions, (0, changed), strict=True):
                zip_file = directory / version / f"product-{version}-linux-{runtime}-nort.zip"
                zip_file.parent.mkdir(exist_ok=True)
                jobs.append(pool.submit(_pack, zip_file, chosen, differing))
        for job in jobs:
            job.result()
    asset = lambda zip_file: {
        "name": zip_file.name,
        "path": str(zip_file.relative_to(directory)),
        "size": zip_file.stat().st_size,
    }
    listed = [
        {"version": version, "assets": [asset(zip_file) for zip_file in sorted((directory / version).iterdir())]}
        for version in versions
    ]
    (directory / "index.json").write_text(json.dumps({"versions": listed}))


def _choose(files, size):
    """Files for each platform, in turn, as many as fill a zip of this size; numbers stand for noise."""
    chosen = {runtime: [] for runtime in RUNTIMES.values()}
    left = dict.fromkeys(chosen, size)
    while runtime := next((it for it in sorted(left, key=left.get, reverse=True) if left[it] > 0), None):
        path = next(files)
        # Level 1 is a third faster, and a tenth larger.
        weight = len(zlib.compress(path.read_bytes(), 1)) * 0.91
        chosen[runtime] += [path, round(weight)]
        left[runtime] -= 2 * weight
    return chosen


def _pack(zip_file, files, differing):
    noise = random.Random(zip_file.name.partition("linux")[2])
    with zipfile.ZipFile(zip_file, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for number, file in enumerate(files):
            # Not its own path: no two may differ only in case.
            name = f"lib/{number // 50}/{number}"
            if isinstance(file, int):
                content = noise.randbytes(file)
            else:
                content = file.read_bytes()
                name += f"-{file.name}"
            if differing > 0:
                differing -= len(content)
                content = content[::-1]  # as large when it is compressed
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (stat.S_IFREG | (0o755 if number % 50 == 0 else 0o644)) << 16
            archive.writestr(entry, content)


@contextlib.contextmanager
def feed(directory):
    """Serves the directory; its URL."""
    handler = functools.partial(_Handler, directory=str(directory))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass
