"""How each tool is told to copy a repository or one image to several registries.

It refuses to know what is measured. A tool's function takes a job and returns the commands, none if it cannot do the
job. crane, regctl and skopeo know one destination at a time; regsync and image-syncer take all of them in one file.
"""

import dataclasses
import json
import shutil
import typing
from pathlib import Path

from lab import say

AT_ONCE = 8  # images at once, for every peer that can be told


@dataclasses.dataclass
class Job:
    """A repository at the source, the hosts that are to have it, and the one tag; `None` is all tags."""

    work: Path
    source: str
    repository: str
    hosts: list[str]
    tag: str | None

    @property
    def ends(self):
        """Where to copy from and to, with the tag if there is one."""
        suffix = f":{self.tag}" if self.tag else ""
        name = f"{self.repository}{suffix}"
        return [(f"{self.source}/{name}", f"{host}/{name}") for host in self.hosts]

    def file(self, name, content):
        path = self.work / name
        path.write_text(json.dumps(content))  # which is YAML as well
        return path


@dataclasses.dataclass
class Tool:
    name: str
    commands: typing.Callable[[Job], list[list]]
    at_once: bool = False
    peer: bool = True

    @property
    def program(self):
        return self.name.split(",")[0]


def peers():
    """The peers on PATH; says which are not."""
    known = [
        Tool("crane", crane),
        Tool("crane, at once", crane_at_once, at_once=True),
        Tool("regctl", regctl),
        Tool("regsync", regsync),
        Tool("image-syncer", image_syncer),
        Tool("skopeo", skopeo),
    ]
    there = [tool for tool in known if shutil.which(tool.program)]
    for program in sorted({tool.program for tool in known} - {tool.program for tool in there}):
        say(f"left out, not on PATH: {program}")
    return there


def xtask(path):
    def commands(job):
        source = f"{job.source}/{job.repository}"
        rule = {"source": source, "targets": [f"{host}/{job.repository}" for host in job.hosts]}
        if job.tag:
            rule["tags"] = [job.tag]
        return [[path, "sync", job.file("sync.yaml", rule)]]

    return commands


def crane(job):
    how = [] if job.tag else ["--all-tags", f"--jobs={AT_ONCE}"]
    return [["crane", "copy", *how, source, target] for source, target in job.ends]


def crane_at_once(job):
    return crane(job) if len(job.hosts) > 1 else []


def regctl(job):
    if not job.tag:
        return []  # it copies single images only
    plain = [f"--host=reg={host},tls=disabled" for host in [job.source, *job.hosts]]
    return [["regctl", *plain, "image", "copy", source, target] for source, target in job.ends]


def regsync(job):
    kind = "image" if job.tag else "repository"
    config = {
        "version": 1,
        "creds": [{"registry": host, "tls": "disabled"} for host in [job.source, *job.hosts]],
        "defaults": {"parallel": AT_ONCE},
        "sync": [{"source": source, "target": target, "type": kind} for source, target in job.ends],
    }
    return [["regsync", "once", "--config", job.file("regsync.yaml", config)]]


def image_syncer(job):
    auth = job.file("auth.yaml", {host: {"insecure": True} for host in [job.source, *job.hosts]})
    rules = job.file("images.yaml", {job.ends[0][0]: [target for _, target in job.ends]})
    return [["image-syncer", f"--proc={AT_ONCE}", "--auth", auth, "--images", rules]]


def skopeo(job):
    common = ["skopeo", "--insecure-policy"]
    plain = ["--all", "--src-tls-verify=false", "--dest-tls-verify=false"]
    if job.tag:
        return [[*common, "copy", *plain, f"docker://{source}", f"docker://{target}"] for source, target in job.ends]
    # `sync` appends the last part of the source's name itself.
    kinds = ["--src=docker", "--dest=docker"]
    return [[*common, "sync", *plain, *kinds, source, target.rpartition("/")[0]] for source, target in job.ends]
