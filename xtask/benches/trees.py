"""The files of an image in a registry, and what its layers weigh.

It refuses to know who made the image. Dates are not compared: builders differ in them.
"""

import contextlib
import gzip
import hashlib
import http.client
import json
import subprocess
import tarfile
import tempfile
import threading

import lab


def files(host, repository, tag):
    """Kind, mode, owner, link and content of every file, by platform and name."""
    found = {}
    for platform, layers in _images(host, repository, tag).items():
        for layer in layers:
            with _unpacked(host, repository, layer) as unpacked, tarfile.open(fileobj=unpacked, mode="r|") as archive:
                for entry in archive:
                    content = archive.extractfile(entry) if entry.isreg() else None
                    digest = hashlib.file_digest(content, "sha256").hexdigest() if content else None
                    about = (entry.type, entry.mode & 0o7777, entry.uid, entry.gid, entry.linkname, digest)
                    found[platform, entry.name.removeprefix("./").strip("/")] = about
    return found


def difference(expected, actual):
    """What one of the files is in both, if they differ."""
    for key in sorted({*expected, *actual}):
        if expected.get(key) != actual.get(key):
            return f"{key}: {expected.get(key)}, {actual.get(key)}"
    return None


def sizes(host, repository, tag, above):
    """Bytes of the layers above the lowest, and of the same if `gzip -6` compresses them."""
    ours = theirs = 0
    for layers in _images(host, repository, tag).values():
        for layer in layers[above:]:
            ours += layer["size"]
            with _unpacked(host, repository, layer) as unpacked:
                theirs += _gzipped(unpacked)
    return ours, theirs


def _gzipped(content):
    command = subprocess.Popen(["gzip", "-6"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    size = 0

    def count():
        nonlocal size
        while piece := command.stdout.read(1 << 20):
            size += len(piece)

    counting = threading.Thread(target=count)
    counting.start()
    while piece := content.read(1 << 20):
        command.stdin.write(piece)
    command.stdin.close()
    counting.join()
    command.wait()
    return size


def _images(host, repository, tag):
    """The layers of each platform's image."""
    index = _manifest(host, repository, tag)
    children = {child["platform"]["architecture"]: child["digest"] for child in index["manifests"]}
    return {it: _manifest(host, repository, digest)["layers"] for it, digest in children.items()}


def _manifest(host, repository, reference):
    connection = http.client.HTTPConnection(host)
    path = f"/v2/{repository}/manifests/{reference}"
    connection.request("GET", path, headers={"Accept": lab.MANIFESTS})
    with contextlib.closing(connection):
        return json.loads(connection.getresponse().read())


@contextlib.contextmanager
def _unpacked(host, repository, layer):
    connection = http.client.HTTPConnection(host)
    connection.request("GET", f"/v2/{repository}/blobs/{layer['digest']}")
    with contextlib.closing(connection), gzip.GzipFile(fileobj=connection.getresponse()) as unpacked:
        yield unpacked
