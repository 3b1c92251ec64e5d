"""What the benchmarks share: registries of their own, commands with their time and memory, and one table.

It refuses to know what is compared. Invariant: whatever it starts or writes is gone when the block that began it ends.
"""

import contextlib
import dataclasses
import http.client
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 10  # seconds that a registry has until it must listen

MANIFESTS = ", ".join(
    [
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    ]
)


class Failed(Exception):
    """A command that did not do what it was asked for."""


@dataclasses.dataclass
class Sample:
    seconds: float
    mebibytes: float  # peak resident memory
    processor: float = 0.0  # seconds of it


class Registry:
    """A docker-registry without authentication on a free loopback port, with a storage directory of its own."""

    def __init__(self, copy_of=None):
        self.directory = Path(tempfile.mkdtemp(prefix="bench-registry-"))
        if copy_of:
            shutil.copytree(copy_of.directory / "storage", self.directory / "storage")

    def __enter__(self):
        config = self.directory / "config.yml"
        config.write_text(
            "version: 0.1\n"
            "log: {accesslog: {disabled: true}}\n"
            f"storage: {{filesystem: {{rootdirectory: {self.directory}/storage}}}}\n"
            'http: {addr: "127.0.0.1:0", secret: bench}\n'
        )
        with open(self.directory / "log", "wb") as log:
            self.process = subprocess.Popen(["docker-registry", "serve", config], stdout=log, stderr=log)
        self.host = self.near = self._listening()
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.directory)

    def _listening(self):
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None and time.monotonic() < deadline:
            if found := re.search(r"listening on ([\d.:]+)", (self.directory / "log").read_text()):
                return found[1]
            time.sleep(0.01)
        self.process.kill()
        raise Failed("docker-registry does not listen: " + (self.directory / "log").read_text()[-500:])


class Far:
    """A fake registry in memory, and the address at which it is MILLISECONDS away each way."""

    def __init__(self, milliseconds):
        self.milliseconds = milliseconds

    def __enter__(self):
        self._stack = contextlib.ExitStack()
        serve = build("--package=fakes", "--example=serve", "--release")
        self.near = self._started([serve])
        self.host = self._started([sys.executable, "-B", Path(__file__).with_name("relay.py"), self.near, str(self.milliseconds)])
        return self

    def __exit__(self, *_):
        self._stack.close()

    def _started(self, command):
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._stack.callback(process.wait)
        self._stack.callback(process.stdin.close)
        return process.stdout.readline().strip()


@contextlib.contextmanager
def registries(count, copy_of=None):
    """Empty registries, or copies of one."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Registry(copy_of)) for _ in range(count)]


@contextlib.contextmanager
def workplace():
    """A temporary directory that is also the home of every command measured, so that nobody's settings count."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        yield Path(directory)


def measure(work, commands, at_once=False, directory=ROOT):
    """Runs commands in turn or all at once. Memory is that of the largest, or of all together when they run at once."""
    os.sync()  # what was written before is not charged to these
    begin = time.monotonic()
    if at_once:
        running = [_start(work, number, command, directory) for number, command in enumerate(commands)]
        costs = [_finish(work, number, process) for number, process in enumerate(running)]
    else:
        costs = [_finish(work, 0, _start(work, 0, command, directory)) for command in commands]
    seconds = time.monotonic() - begin
    peaks = [peak for peak, *_ in costs]
    processor = sum(user + system for _, user, system in costs)
    return Sample(seconds, (sum(peaks) if at_once else max(peaks)) / 1024, processor)


def _start(work, number, command, directory):
    # GNU time and not our own getrusage: a child begins with the peak of the interpreter that forked it.
    timed = ["/usr/bin/time", "--quiet", "--format=%M %U %S", f"--output={work}/cost{number}", *command]
    variables = {name: os.environ[name] for name in ("PATH", "DOCKER_HOST", "TMPDIR") if name in os.environ}
    variables["HOME"] = str(work)
    with open(work / f"said{number}", "wb") as said:
        return subprocess.Popen(timed, cwd=directory, env=variables, stdin=subprocess.DEVNULL, stdout=said, stderr=said)


def _finish(work, number, process):
    if process.wait():
        said = (work / f"said{number}").read_text(errors="replace").split("\n")
        raise Failed(f"exit {process.returncode}: " + " / ".join(filter(None, said))[-300:])
    return [float(it) for it in (work / f"cost{number}").read_text().split()[-3:]]


def summary(samples):
    """The median of the times, and the highest of the peaks."""
    return Sample(
        statistics.median(s.seconds for s in samples),
        max(s.mebibytes for s in samples),
        statistics.median(s.processor for s in samples),
    )


def show(sample):
    return f"{sample.seconds:.2f} s, {sample.mebibytes:.0f} MiB" if sample else "–"


def verdict(ours, rivals, at_most, rival=None):
    """Our time beside a rival's, which is the fastest unless it is named. `rivals` are seconds by name."""
    rival = rival or min(rivals, key=rivals.get, default=None)
    goal = f"at most {at_most}× {rival or 'the fastest peer'}"
    if not ours or rival not in rivals:
        return goal
    ratio = ours.seconds / rivals[rival]
    return f"{ratio:.2f}×, {judged(goal, ratio <= at_most)}"


def bounded(ours, mebibytes):
    goal = f"at most {mebibytes} MiB"
    return judged(goal, ours.mebibytes <= mebibytes) if ours else goal


def judged(goal, met):
    return f"{goal}: {'met' if met else 'missed'}"


def digests(host, repository, tags):
    """What a registry answers for each tag; `None` for one that it does not have."""
    connection = http.client.HTTPConnection(host)
    found = []
    for tag in tags:
        connection.request("HEAD", f"/v2/{repository}/manifests/{tag}", headers={"Accept": MANIFESTS})
        answer = connection.getresponse()
        answer.read()
        found.append(answer.headers["Docker-Content-Digest"] if answer.status == 200 else None)
    connection.close()
    return found


def build_xtask(*profile):
    """Builds the program and tells where it is."""
    return build("--package=xtask", "--bin=xtask", *profile)


def build(*options):
    command = ["cargo", "build", "--quiet", "--message-format=json", *options]
    built = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    return next(filter(None, (json.loads(line).get("executable") for line in built.stdout.splitlines())))


def need(*programs):
    """Ends the benchmark if one of these is not there."""
    if missing := [program for program in programs if not shutil.which(program)]:
        sys.exit(f"not found: {', '.join(missing)}; hint: `apt-get install docker-registry time`")


def machine():
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} cores of {model[1] if model else platform.machine()}, {memory:.0f} GiB, "
        f"load {load:.1f} at the end; {version('docker-registry')}"
    )


def output(*command):
    """What a command says, without the line's end."""
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise Failed(f"`{' '.join(command)}` failed")
    return done.stdout.strip()


def version(program):
    """A program's name and, if it tells it, its version."""
    for question in ("--version", "version"):
        said = subprocess.run([program, question], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
        if found := re.search(r"(?<![\w.])v?(\d+\.\d+[\w.+-]*)", said):
            return f"{program} {found[1]}"
    return program


def say(text):
    print(text, file=sys.stderr, flush=True)


def print_table(header, rows):
    for row in (header, ["---"] * len(header), *rows):
        print("| " + " | ".join(row) + " |")
