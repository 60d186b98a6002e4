"""Holds networks' scores against those of others: exact arithmetic in Python, and qonnx's executor or ONNX
Runtime. Usage: judge.py FOLDER, as `judge.rs` fills it: a JSON and a file of bytes (images, then scores) for
each network.

Exact arithmetic may differ in no score. What dq wrote itself qonnx must execute exactly. Runtimes that
compute others' files in float32 land on the other side of a threshold where a value lies next to it: there a
few scores may differ."""

import json
import sys
from pathlib import Path

import exact
import numpy as np
import onnx

#: Largest share of scores in which a float runtime may differ from the exact ones.
FAR = 0.02
#: Images that go through the exact network together.
BATCH = 20


#: The operators that qonnx adds to ONNX's own.
QONNX = ("Quant", "IntQuant", "BipolarQuant", "Trunc", "MultiThreshold")


def take_batches(graph, constants):
    """Lets nodes that write a batch of one into their shape keep the batch that comes."""
    shapes = {n.input[1] for n in graph.node if n.op_type == "Reshape" and n.input[0] not in constants}
    for tensor in graph.initializer:
        sizes = onnx.numpy_helper.to_array(tensor)
        if tensor.name in shapes and sizes[:1] == 1:
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.array([0, *sizes[1:]]), tensor.name))


def float_runtime(model, scores, by_qonnx):
    """A function of float32 images, batch first, that executes the graph up to the tensor `scores`."""
    graph = model.graph
    entry = graph.input[0]
    # Shapes between were written for one image.
    del graph.output[:], graph.value_info[:]
    graph.output.append(onnx.helper.make_tensor_value_info(scores, onnx.TensorProto.FLOAT, None))
    added = [n for n in graph.node if n.op_type in QONNX]
    if not added and not by_qonnx:
        import onnxruntime

        entry.type.tensor_type.shape.dim[0].dim_param = "N"
        options = onnxruntime.SessionOptions()
        options.log_severity_level, options.intra_op_num_threads = 3, 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(model.SerializeToString(), options)
        return lambda x: session.run(None, {entry.name: x})[0]
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx
    from qonnx.transformation.infer_shapes import InferShapes

    for n in added:
        n.domain = "qonnx.custom_op.general"

    def run(x):
        entry.type.tensor_type.shape.dim[0].dim_value = len(x)
        wrapped = ModelWrapper(model, make_deepcopy=True).transform(InferShapes())
        return execute_onnx(wrapped, {entry.name: x})[scores]

    return run


def differences(got, wanted, slack):
    return int((np.abs(got - wanted) > slack).sum())


def judge(case, images, scores):
    """Returns what is said of a network, and whether it passes."""
    model, report = onnx.load(case["file"]), case["import"]
    own = report is None
    output = model.graph.output[0].name if own else report["scores"]
    dims = [1] + [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim][1:]
    got = scores if own else scores * report["scale"] + report["offset"]
    unit = 0 if own else report["tolerance"] * report["scale"]
    network, wrong = exact.Model(model), 0
    for start in range(0, case["exact"], BATCH):
        some = slice(start, min(start + BATCH, case["exact"]))
        true = np.array(network.run(exact.images(images[some], dims, not own), output), dtype=float)
        wrong += differences(got[some], true, 1e-9 * (1 + np.abs(true)) + unit)
        if own or report["in_order"]:
            wrong += int((got[some].argmax(1) != true.argmax(1)).sum())
    said = f"{wrong} scores differ from exact arithmetic on {case['exact']} images"
    if not case["float"]:
        return f"{case['name']}: {said}", wrong == 0
    take_batches(model.graph, network.fixed)
    run = float_runtime(model, output, own)
    x = np.moveaxis(images, 3, 1).reshape(len(images), *dims[1:]).astype(np.float32)
    x = x if own else x / np.float32(255)
    floats = np.concatenate([run(x[i:i + BATCH]).reshape(-1, got.shape[1]) for i in range(0, len(x), BATCH)])
    far = differences(got, floats, 0 if own else 1e-4 * (1 + np.abs(floats)) + unit)
    said = f"{said}; " if case["exact"] else ""
    said += f"{far} of {got.size} from the float runtime"
    return f"{case['name']}: {said}", wrong == 0 and far <= (0 if own else FAR * got.size)


def main():
    passed, paths = True, sorted(Path(sys.argv[1]).glob("*.json"))
    for path in paths:
        case = json.loads(path.read_text())
        n, height, width, channels = case["images"]
        data, size = path.with_suffix(".bin").read_bytes(), n * height * width * channels
        images = np.frombuffer(data[:size], np.uint8).reshape(case["images"])
        said, right = judge(case, images, np.frombuffer(data[size:], "<i4").reshape(n, -1).astype(float))
        print(said if right else f"WRONG {said}", flush=True)
        passed &= right
    print(len(paths), "networks judged")
    sys.exit(not passed)


if __name__ == "__main__":
    main()
