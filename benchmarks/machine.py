"""Where a run was made: processor, cores, and the versions of all that was timed."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
from pathlib import Path

LIBRARIES = ("nnderiv", "numpy", "sympy", "torch", "jax", "autograd", "numpy-ml", "threadpoolctl")


def description() -> dict[str, object]:
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {name: v for name in LIBRARIES if (v := _version(name))},
        "blas": _blas(),
        "load before": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor())


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _blas() -> str:
    try:
        import threadpoolctl
    except ImportError:
        return "unknown: threadpoolctl is not installed"
    pools = [p for p in threadpoolctl.threadpool_info() if p["user_api"] == "blas"]
    return ", ".join(sorted({f"{p['internal_api']} {p['version']}, {p['num_threads']} threads" for p in pools}))
