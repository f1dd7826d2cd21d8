"""ONNX Runtime, CPU execution provider. `--mode parallel`: as many sessions of one thread as there are threads, each
with batches of its own, as ours works; otherwise one session with so many threads.

Its kernels (MLAS) ask the processor itself what it can; there is no setting or variable that keeps them from AVX-512,
so there is no AVX2 variant of this peer.
"""

import protocol  # isort: skip

import onnxruntime as ort

import yamnet_peer


def session(path: str, threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def main() -> None:
    a = yamnet_peer.arguments(__doc__)
    if a.precision != "f32":
        protocol.refuse("ONNX Runtime computes convolutions on x86 CPUs in f32 only")
    path = str(a.work / "yamnet.onnx")
    patches = yamnet_peer.read_patches(a.work)
    ready = {"version": ort.__version__, "isa": "mlas"}

    def embed(run: ort.InferenceSession) -> yamnet_peer.Embed:
        return lambda batch: run.run(["embeddings"], {"patches": batch[:, None]})[0]

    if a.mode != "parallel":
        run = embed(session(path, a.threads))
        yamnet_peer.serve(patches, ready, lambda _: run)
        return
    sessions = [embed(session(path, 1)) for _ in range(a.threads)]

    def rate(_threads: str, batch: str, seconds: str) -> protocol.Answer:
        turns = [yamnet_peer.Turn(patches) for _ in sessions]
        steps = [
            lambda run=run, turn=turn: len(run(turn.batch(int(batch))))
            for run, turn in zip(sessions, turns, strict=True)
        ]
        return protocol.rate_side_by_side(steps, float(seconds), "patches")

    def write(path: str) -> protocol.Answer:
        sessions[-1](patches).astype("<f4").tofile(path)
        return {"patches": len(patches)}

    protocol.serve(ready, rate=rate, write=write)


if __name__ == "__main__":
    main()
