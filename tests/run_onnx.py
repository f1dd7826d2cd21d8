"""Runs a model in ONNX Runtime. Usage: run_onnx.py MODEL INPUTS…, each a .json or .npz file with an array for each input of the model.

Prints a JSON object for each file, one a line: the outputs by name. Before them, one with the metadata of the model. The model is checked with
ONNX's own checker first.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort


def arrays(path: Path) -> dict[str, np.ndarray]:
    found = np.load(path) if path.suffix == ".npz" else json.loads(path.read_text())
    return {name: np.asarray(found[name], np.float32) for name in found}


model, *inputs = map(Path, sys.argv[1:])
onnx.checker.check_model(onnx.load(model), full_check=True)
options = ort.SessionOptions()
options.log_severity_level = 3
session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
print(json.dumps(session.get_modelmeta().custom_metadata_map))
for path in inputs:
    names = [output.name for output in session.get_outputs()]
    values = session.run(names, arrays(path))
    print(json.dumps({name: np.asarray(value).tolist() for name, value in zip(names, values)}))
