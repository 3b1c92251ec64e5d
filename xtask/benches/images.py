"""The images of the sync benchmark and the base of the build benchmark, made of noise and put into a registry.

It refuses to know who copies them. Invariant: the same bytes, and so the same digests, on every run.
"""

import gzip
import hashlib
import http.client
import io
import json
import random
import tarfile
import tempfile

MIB = 1024 * 1024
PLATFORMS = ("amd64", "arm64")

LARGE = "bench/large"
LARGE_TAG = "1.0.0"
LARGE_LAYERS = [180, 120, 90, 60, 40, 25, 10, 5]  # about MiB, compressed: 530 in all

MANY = "bench/many"
MANY_TAGS = [f"1.0.{number}" for number in range(200)]
SHARED_LAYERS = [4, 2, 1]  # MiB
OWN_LAYER = 16 * 1024  # bytes

BASE = "bench/base"
BASE_TAG = "1"
BASE_LAYERS = [45, 15]  # MiB, for each platform


def put_large(host):
    """One image of eight layers. Returns its tag, in a list."""
    with _Repository(host, LARGE) as repository:
        layers = [repository.put_layer(number, size * MIB) for number, size in enumerate(LARGE_LAYERS)]
        repository.put_image(LARGE_TAG, "amd64", layers)
    return [LARGE_TAG]


def put_many(host):
    """Two hundred tags, each an index of two platforms: three layers shared by all, a small one of its own for each.

    Returns the tags."""
    with _Repository(host, MANY) as repository:
        shared = [repository.put_layer(number, size * MIB) for number, size in enumerate(SHARED_LAYERS)]
        for tag in MANY_TAGS:
            own = {it: repository.put_layer(f"{tag} {it}", OWN_LAYER) for it in PLATFORMS}
            repository.put_index(tag, {it: [*shared, layer] for it, layer in own.items()})
    return MANY_TAGS


def put_base(host):
    """An image of two layers for each platform. Returns its reference."""
    with _Repository(host, BASE) as repository:
        sizes = list(enumerate(BASE_LAYERS))
        layers = {
            it: [repository.put_layer(f"{it} {number}", size * MIB) for number, size in sizes] for it in PLATFORMS
        }
        repository.put_index(BASE_TAG, layers)
    return f"{host}/{BASE}:{BASE_TAG}"


class _Repository:
    def __init__(self, host, name):
        self.base = f"/v2/{name}"
        self.connection = http.client.HTTPConnection(host)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def put_layer(self, seed, size):
        """Returns the descriptor and the digest of the layer unpacked."""
        with tempfile.TemporaryFile() as file:
            packed = _Hashing(file)
            with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=1, mtime=0) as gz:
                unpacked = _Hashing(gz)
                with tarfile.open(fileobj=unpacked, mode="w|") as tar:
                    for name, noise in _files(seed, size):
                        entry = tarfile.TarInfo(name)
                        entry.size = len(noise)
                        tar.addfile(entry, io.BytesIO(noise))
            descriptor = self._put_blob("application/vnd.oci.image.layer.v1.tar+gzip", file, packed.digest())
        return descriptor, unpacked.digest()

    def put_image(self, tag, architecture, layers):
        """`layers` are as [`put_layer`] returns them. Returns the descriptor."""
        config = {
            "architecture": architecture,
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [unpacked for _, unpacked in layers]},
        }
        data = json.dumps(config).encode()
        config = self._put_blob("application/vnd.oci.image.config.v1+json", io.BytesIO(data), _digest(data))
        parts = {"config": config, "layers": [descriptor for descriptor, _ in layers]}
        return self.put_manifest(tag, "application/vnd.oci.image.manifest.v1+json", parts)

    def put_index(self, tag, platforms):
        """An image for each platform, of the layers that it has in `platforms`."""
        children = []
        for architecture, layers in platforms.items():
            child = self.put_image(None, architecture, layers)
            children.append({**child, "platform": {"architecture": architecture, "os": "linux"}})
        self.put_manifest(tag, "application/vnd.oci.image.index.v1+json", {"manifests": children})

    def put_manifest(self, tag, media_type, parts):
        # As Go writes it: image-syncer writes an index anew, and an index of any other form gets another digest there.
        whole = {"schemaVersion": 2, "mediaType": media_type, **parts}
        data = json.dumps(whole, separators=(",", ":")).encode()
        digest = _digest(data)
        self._ask("PUT", f"{self.base}/manifests/{tag or digest}", data, {"Content-Type": media_type})
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    def _put_blob(self, media_type, file, digest):
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        location = self._ask("POST", f"{self.base}/blobs/uploads/", b"", {})["Location"]
        self._ask("PUT", f"{location}&digest={digest}", file, {"Content-Length": str(size)})
        return {"mediaType": media_type, "digest": digest, "size": size}

    def _ask(self, method, path, body, headers):
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        said = answer.read()
        if answer.status not in (201, 202):
            raise RuntimeError(f"{method} {path}: {answer.status} {said[:200]}")
        return answer.headers


class _Hashing:
    """A file to write to that knows its digest."""

    def __init__(self, file):
        self.file = file
        self.hash = hashlib.sha256()

    def write(self, data):
        self.hash.update(data)
        return self.file.write(data)

    def flush(self):
        self.file.flush()

    def digest(self):
        return f"sha256:{self.hash.hexdigest()}"


def _files(seed, size):
    """Files that compress to about `size` bytes: half of each is noise, half is text of the noise."""
    noise = random.Random(str(seed))
    left = size
    while left > 0:
        piece = min(left, MIB)
        left -= piece
        half = piece // 2
        yield f"files/{left}", noise.randbytes(half) + noise.randbytes(half * 10 // 11).hex().encode()


def _digest(data):
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
