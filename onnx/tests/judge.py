"""Compares imported networks with exact arithmetic in Python (fractions) and with qonnx's executor or ONNX Runtime,
score by score. Usage: judge.py SCORES_PROGRAM IMAGES MODEL...

SCORES_PROGRAM is the example `scores` of dq-onnx. The exact judge shares nothing with dq: each tensor is an object
array of fractions (or pairs p + q·√r after a batch normalization, held as high-precision decimals with an error
bound); it is slow, so that it runs on the first images only."""

import json
import subprocess
import sys

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
    program, count, paths = sys.argv[1], sys.argv[2], sys.argv[3:]
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
        far, labels = 0, 0
        for frame in found["frames"]:
            wanted = np.asarray(run(model, path, image(frame, found["shape"], dims))).reshape(-1)
            got = np.array(frame["scores"], dtype=np.float64) * found["scale"] + found["offset"]
            far += int((np.abs(got - wanted) > 1e-4 * (1 + np.abs(wanted))).sum())
            labels += int(got.argmax() != wanted.argmax())
        total = sum(len(frame["scores"]) for frame in found["frames"])
        report = found["report"]
        print(f"{path}: {far} of {total} scores differ, {labels} labels; float32 elsewhere: "
              f"{report['float32_differs']} of {report['accumulators']}; {report['thresholds']} thresholds")
    sys.exit(failed)


if __name__ == "__main__":
    main()
