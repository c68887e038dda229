#!/usr/bin/env python3
"""Puts empty libraries where PyTorch for x86-64 looks for CUDA's, so that it can be imported without them and computes on the processor.

Run it by the Python of the environment into which torch was installed without its dependencies. Needs gcc, and readelf and nm of
binutils. Every function of CUDA that torch names is there afterwards and fails; the number of graphics cards is none.
"""

import importlib.util
import re
import subprocess
import tempfile
from collections import defaultdict
from pathlib import Path

LIBRARIES = re.compile(r"lib(cu|nccl|nvrtc|nvJit|nvToolsExt|nvshmem)")
FUNCTIONS = re.compile(
    r"(cu[A-Z]|cuda|cudnn|cublas|cufft|cufile|cupti|curand|cusolver|cusparse|p?nccl|nvml|nvrtc|nvshmem|nvtx|nvJit|__cuda)"
)
NO_DEVICE = 100
# What is called while torch is being imported must do better than to fail.
SPECIAL = {
    "cudaGetDeviceCount": f"int cudaGetDeviceCount(int *count) {{ if (count) *count = 0; return {NO_DEVICE}; }}",
    "cudaGetErrorName": 'const char *cudaGetErrorName(int code) { return "no CUDA"; }',
    "cudaGetErrorString": 'const char *cudaGetErrorString(int code) { return "no CUDA"; }',
    "cudaGetLastError": "int cudaGetLastError(void) { return 0; }",
    "cudaPeekAtLastError": "int cudaPeekAtLastError(void) { return 0; }",
    "cudaDriverGetVersion": "int cudaDriverGetVersion(int *version) { if (version) *version = 0; return 0; }",
    "cudaRuntimeGetVersion": "int cudaRuntimeGetVersion(int *version) { if (version) *version = 0; return 0; }",
}


def output_of(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def what_is_wanted(folder):
    """The libraries of CUDA that torch's own name, and the functions in them by version («» for none)."""
    libraries, functions = set(), defaultdict(set)
    for file in folder.glob("*.so*"):
        if LIBRARIES.match(file.name):
            continue
        libraries.update(filter(LIBRARIES.match, re.findall(r"\(NEEDED\).*\[(.+)\]", output_of("readelf", "-d", file))))
        for symbol in re.findall(r" [Uwv] (\S+)$", output_of("nm", "-D", "--undefined-only", file), re.MULTILINE):
            name, _, version = symbol.partition("@")
            if FUNCTIONS.match(name):
                functions[version.lstrip("@")].add(name)
    return libraries, functions


def source(names):
    def empty(name):
        # What registers device code is asked for a handle, not for an error.
        return f"long {name}(void) {{ return {0 if name.startswith('__cuda') else NO_DEVICE}; }}"

    return "\n".join(SPECIAL.get(name, empty(name)) for name in sorted(names)) + "\n"


def main():
    folder = Path(importlib.util.find_spec("torch").origin).parent / "lib"
    libraries, functions = what_is_wanted(folder)
    missing = sorted(name for name in libraries if not (folder / name).exists())
    with tempfile.TemporaryDirectory() as scratch:
        code, versions = Path(scratch, "stub.c"), Path(scratch, "versions")
        code.write_text(source(set().union(*functions.values())))
        versions.write_text("".join(f"{version} {{ {'; '.join(sorted(names))}; }};\n" for version, names in functions.items() if version))
        for name in missing:
            subprocess.run(
                ["gcc", "-shared", "-fPIC", "-w", "-o", folder / name, code, f"-Wl,-soname,{name}", f"-Wl,--version-script={versions}"],
                check=True,
            )
    print(f"{len(missing)} libraries in {folder}")


if __name__ == "__main__":
    main()
