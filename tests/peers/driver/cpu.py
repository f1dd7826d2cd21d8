"""What the processor is, and what of it matters to the kernels."""

import os
import platform
from pathlib import Path

FEATURES = {
    "AVX2": ("avx2", "fma"),
    "AVX-512": ("avx512f", "avx512bw", "avx512vl"),
    "AVX512-VNNI": ("avx512_vnni",),
    "AVX512-BF16": ("avx512_bf16",),
    "AMX-BF16": ("amx_tile", "amx_bf16"),
    "NEON": ("asimd",),
    "NEON-BF16": ("bf16", "asimd"),
}


def describe() -> str:
    """Such as `AMD EPYC, 2 CPUs: AVX2 AVX-512`."""
    fields = _fields()
    flags = set((fields.get("flags") or fields.get("Features") or "").split())
    found = [name for name, needed in FEATURES.items() if flags.issuperset(needed)]
    model = fields.get("model name") or platform.processor() or platform.machine()
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{model}, {count} CPUs: {' '.join(found) or 'features unknown'}"


def _fields() -> dict[str, str]:
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return {}
    pairs = (line.split(":", 1) for line in path.read_text().split("\n\n")[0].splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}
