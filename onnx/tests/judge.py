"""Compares imported networks with qonnx's executor or ONNX Runtime, score by score, and on the first EXACT images
with exact arithmetic in Python, which shares nothing with dq. Usage: judge.py SCORES_PROGRAM IMAGES EXACT MODEL...

SCORES_PROGRAM is the example `scores` of dq-onnx. Float runtimes may differ where a value lies next to a
threshold; the exact scores may not."""

import json
import subprocess
import sys

import exact
import numpy as np
import onnx


def image(frame, shape, dims):
    height, width, channels = shape
    pixels = np.array(frame["pixels"], dtype=np.float64).reshape(height, width, channels)
    return (np.moveaxis(pixels, 2, 0) / 255).astype(np.float32).reshape(dims)


def run(model, path, x):
    name = model.graph.input[0].name
    if any(o.domain == "com.microsoft" or n.op_type.startswith(("Quantize", "QLinear"))
           for n in model.graph.node for o in [n]):
        import onnxruntime

        return onnxruntime.InferenceSession(path).run(None, {name: x})[0]
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx
    from qonnx.transformation.infer_shapes import InferShapes

    wrapper = ModelWrapper(path).transform(InferShapes())
    return execute_onnx(wrapper, {name: x})[wrapper.graph.output[0].name]


def main():
    program, count, exactly, paths = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4:]
    failed = False
    for path in paths:
        done = subprocess.run([program, path, count], capture_output=True, text=True)
        if done.returncode:
            print(f"{path}: {done.stderr.strip()[:400]}")
            failed = True
            continue
        found = json.loads(done.stdout)
        model = onnx.load(path)
        shape = model.graph.input[0].type.tensor_type.shape.dim
        dims = [1] + [d.dim_value for d in shape[1:]]
        far, labels, wrong = 0, 0, 0
        for n, frame in enumerate(found["frames"]):
            wanted = np.asarray(run(model, path, image(frame, found["shape"], dims))).reshape(-1)
            got = np.array(frame["scores"], dtype=np.float64) * found["scale"] + found["offset"]
            if n < exactly:
                true = exact.run(model, exact.image(frame["pixels"], found["shape"], dims))
                wrong += int((np.abs(got - np.array([float(v) for v in true])) > 1e-9 * (1 + np.abs(got)) + found["report"]["tolerance"] * found["scale"]).sum())
            far += int((np.abs(got - wanted) > 1e-4 * (1 + np.abs(wanted))).sum())
            labels += int(got.argmax() != wanted.argmax())
        total = sum(len(frame["scores"]) for frame in found["frames"])
        report = found["report"]
        failed |= wrong > 0
        print(f"{path}: {wrong} scores differ from exact arithmetic on {min(exactly, int(count))} images; {far} of "
              f"{total} from the float runtime, {labels} labels; float32 elsewhere: "
              f"{report['float32_differs']} of {report['accumulators']}; {report['thresholds']} thresholds")
    sys.exit(failed)


if __name__ == "__main__":
    main()
