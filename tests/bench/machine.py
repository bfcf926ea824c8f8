"""What the figures depend on: the machine, and the versions of all programs."""

import os
import platform
import re
import shutil
import subprocess

# How the programs tell their version: the first line with a number in it.
VERSIONS = {
    "tar": "--version",
    "nc.openbsd": "-h",
    "nc.traditional": "-h",
    "ncat": "--version",
    "socat": "-V",
    "iperf3": "--version",
    "gnuplot": "--version",
}
PACKAGES = {                    # those without a version of their own
    "tcpserver": "ucspi-tcp",
}


def said_by(*command):
    """The lines that a program says; none if it is not there."""
    try:
        said = subprocess.run(command, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, errors="replace",
                              stderr=subprocess.STDOUT, check=False).stdout
    except OSError:
        said = ""
    return [" ".join(line.split()) for line in said.splitlines()]


def version(program, option):
    lines = [x for x in said_by(program, option) if re.search("[0-9]", x)]
    return lines[0] if lines else ""


def compiler(build):
    """What haul was built with, and its flags, as the Makefile notes them."""
    try:
        with open(os.path.join(build, "flags")) as f:
            words = f.read().split()
    except OSError:
        return {}
    flags = [w for w in words if re.match("-(O|g|f|m|D[^_])", w)]
    return {"compiler": version(words[0], "--version"),
            "flags": " ".join(flags)}


def programs(build):
    found = {"haul": version(os.path.join(build, "haul"), "--version")}
    found.update((p, version(p, option)) for p, option in VERSIONS.items()
                 if shutil.which(p))
    for program, package in PACKAGES.items():
        if shutil.which(program) and shutil.which("dpkg-query"):
            found[program] = " ".join(said_by("dpkg-query", "-W",
                                               package))
    return found


def about(build):
    with open("/proc/cpuinfo") as f:
        model = re.search(r"^model name\s*:\s*(.*)$", f.read(), re.M)
    return {
        "cpu": model[1] if model else platform.machine(),
        "cpus": len(os.sched_getaffinity(0)),
        "memory_bytes":
            os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "kernel": f"{platform.system()} {platform.release()}",
        "libc": " ".join(platform.libc_ver()),
        **compiler(build),
        "programs": programs(build),
    }
