"""What a run needs beside Slurm: a GPU that training fits, pretrained models, and a place where MLflow keeps the runs."""

from __future__ import annotations

import re
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ostinato.cluster.finding import Finding, fail, guarded, ok, warn
from ostinato.files import UserError
from ostinato.params import Params

if TYPE_CHECKING:
    from ostinato.train.host import Host

#: File systems across machines, as `stat -f -c %T` calls them.
NETWORK = {"nfs", "nfsd", "lustre", "gpfs", "ceph", "smb", "smb2", "cifs", "afs", "fhgfs", "panfs", "ocfs2", "gfs/gfs2", "acfs", "snfs"}
#: How long a server may take to answer, s.
SECONDS = 10


def memory(params: Params) -> Iterator[Finding]:
    """Whether training fits the GPU that `train.launch.gpu_gb` tells of, and the memory of a node that `mem_gb` asks for."""
    launch, model = params.train.launch, params.model.pretrained
    if not launch.gpus or not launch.gpu_gb:
        yield (
            ok("memory", "not checked: training asks for no GPU") if not launch.gpus else warn("memory", "not checked: train.launch.gpu_gb is 0", "say there how many GB a GPU has")
        )
    if launch.cluster == "local" and not (launch.gpus and launch.gpu_gb):
        return
    for which in ("tune",) if model else ("base", "tune"):  # a pretrained base is not trained
        yield from guarded(f"memory, train.{which}", partial(_planned, params, which))


def _planned(params: Params, which: str) -> Iterator[Finding]:
    """`ostinato plan --check` for the parameters as they lie over one another."""
    from ostinato.train import host, plan

    launch = params.train.launch
    try:
        planned = plan.configured(params, which)
    except UserError as error:
        yield warn(f"memory, train.{which}", f"not checked: {error}", "")
        return
    if launch.cluster == "slurm":
        yield _node(f"host memory, train.{which}", host.of(planned, launch))
    if not launch.gpus or not launch.gpu_gb:
        return
    name, said = f"memory, train.{which}", plan.verdict(planned)
    if planned.need().peak <= planned.gpu:
        yield ok(name, said)
    else:
        yield warn(name, said, "it is halved in mid-run otherwise") if planned.fits else fail(name, said, "")


def _node(name: str, found: Host) -> Finding:
    """Whether the memory that a training job asks of its node is enough."""
    from ostinato.train import host

    said, todo = f"about {found.peak / host.GIB:.1f} GiB {host.words(found)}", f"set train.launch.mem_gb to {found.ask}"
    if found.peak <= found.limit:
        return ok(name, said)
    return (fail if found.held > found.limit else warn)(name, f"{said}; {host.verdict(found)}", todo)


def pretrained(params: Params) -> Iterator[Finding]:
    """Whether what comes from the model hub is here or can be had."""
    from ostinato.lm.pretrained import LM_FILE

    wanted = {
        params.model.pretrained: LM_FILE,
        "t5-base" if params.model.pretrained else None: "config.json",
        params.codec.pretrained if params.codec.kind == "encodec" else None: "config.json",
    }
    for name, file in wanted.items():
        if name and not Path(name).is_dir() and re.fullmatch(r"[\w.-]+/[\w.-]+|t5-base", name):
            yield _on_hub(name, file)


def _on_hub(name: str, file: str) -> Finding:
    from huggingface_hub import hf_hub_url, try_to_load_from_cache

    if isinstance(try_to_load_from_cache(name, file), str):
        return ok(f"model hub, {name}", "is in the cache")
    todo = f"run `hf download {name}` where there is a network, with HF_HOME on a file system that all nodes share"
    try:
        urllib.request.urlopen(urllib.request.Request(hf_hub_url(name, file), method="HEAD"), timeout=SECONDS).close()
    except OSError as error:
        return warn(f"model hub, {name}", f"neither cached nor to be had ({error})", todo)
    return warn(f"model hub, {name}", "can be had from here, but is not in the cache, and nodes often have no network", todo)


def mlflow(uri: str, key: str) -> Iterator[Finding]:
    """Whether runs can be written to `track.uri`; `key` says where that is set."""
    if uri.startswith(("http://", "https://")):
        yield _server(uri, key)
    elif uri.startswith("sqlite:///"):
        yield _file(Path(uri.removeprefix("sqlite:///").split("?")[0]), key)
    else:
        yield ok("MLflow", f"{uri}: not checked; what is checked are servers and SQLite")


def _server(uri: str, key: str) -> Finding:
    try:
        urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=SECONDS).close()
        return ok("MLflow", f"{uri} answers")
    except (OSError, ValueError) as error:
        return fail("MLflow", f"{uri} does not answer ({error})", f"start the server, or change {key}")


def _file(path: Path, key: str) -> Finding:
    """A store in a file. SQLite asks for locks that network file systems keep badly (sqlite.org/faq.html#q5)."""
    folder = path.absolute().parent
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        return fail("MLflow", f"{folder} cannot be written to ({error.strerror})", f"change {key}")
    kind = _file_system(folder)
    if kind in NETWORK:
        return warn("MLflow", f"{path} lies on {kind}, where SQLite files are known to get corrupt", f"change {key}: a server, or a disk of this machine")
    return ok("MLflow", f"{path} can be written" + (f", on {kind}" if kind else ""))


def _file_system(folder: Path) -> str:
    """The kind of a folder's file system, as coreutils names it; empty where they are others."""
    said = subprocess.run(["stat", "-f", "-c", "%T", str(folder)], capture_output=True, text=True, check=False)
    return said.stdout.strip() if said.returncode == 0 else ""
