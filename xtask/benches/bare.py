"""The least that three registries need: layers sent to all of them at once by a client that does nothing else.

It reads no source, checks nothing and hands files to the kernel (sendfile). No copier on this machine can be faster.
"""

import contextlib
import http.client
import json
import os
import shutil
import tempfile
import threading
import time

import lab


def seconds(source, repository, tag, targets):
    """How long the layers of an image take to every host of `targets` that lacks them; fetched from `source` beforehand.

    Of an index: those of all its images."""
    with contextlib.ExitStack() as stack:
        layers = [(stack.enter_context(file), digest) for file, digest in _layers(source, repository, tag)]
        sends = [
            threading.Thread(target=_send, args=(target, repository, file, digest))
            for target in targets
            for file, digest in layers
        ]
        os.sync()
        begin = time.monotonic()
        for send in sends:
            send.start()
        for send in sends:
            send.join()
        return time.monotonic() - begin


def _layers(host, repository, tag):
    connection = http.client.HTTPConnection(host)
    for digest in sorted(_listed(connection, repository, tag)):
        connection.request("GET", f"/v2/{repository}/blobs/{digest}")
        answer = connection.getresponse()
        file = tempfile.TemporaryFile()
        shutil.copyfileobj(answer, file)
        file.flush()
        yield file, digest
    connection.close()


def _listed(connection, repository, tag):
    connection.request("GET", f"/v2/{repository}/manifests/{tag}", headers={"Accept": lab.MANIFESTS})
    manifest = json.loads(connection.getresponse().read())
    children = [_listed(connection, repository, child["digest"]) for child in manifest.get("manifests", [])]
    return {layer["digest"] for layer in manifest.get("layers", [])}.union(*children)


def _send(host, repository, file, digest):
    """As docker's engine uploads: asked for, opened, one PATCH, committed."""
    connection = http.client.HTTPConnection(host)
    connection.request("HEAD", f"/v2/{repository}/blobs/{digest}")
    answer = connection.getresponse()
    answer.read()
    if answer.status == 200:
        return connection.close()
    size = os.fstat(file.fileno()).st_size
    location = _ask(connection, "POST", f"/v2/{repository}/blobs/uploads/", 202)
    connection.putrequest("PATCH", location)
    connection.putheader("Content-Length", str(size))
    connection.putheader("Content-Type", "application/octet-stream")
    connection.endheaders()
    sent = 0
    while sent < size:
        sent += os.sendfile(connection.sock.fileno(), file.fileno(), sent, size - sent)
    location = _answer(connection, 202)
    _ask(connection, "PUT", f"{location}&digest={digest}", 201)
    connection.close()


def _ask(connection, method, path, expected):
    connection.request(method, path, b"")
    return _answer(connection, expected)


def _answer(connection, expected):
    answer = connection.getresponse()
    said = answer.read()
    if answer.status != expected:
        raise lab.Failed(f"{answer.status} {said[:200]}")
    return answer.headers["Location"]
