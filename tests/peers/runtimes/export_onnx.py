"""YAMNet up to the embeddings as an ONNX graph, `patches` `[N, 1, 96, 64]` to `embeddings` `[N, 1024]`."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from weights import Tensors, fold
from yamnet_layout import EMBEDDING_DIM, MEL_BANDS, PATCH_FRAMES, convolutions


def export(weights: Tensors, path: Path) -> None:
    """Writes the graph: 27 convolutions with their batch normalisation folded in, rectifiers, a global mean."""
    nodes, constants, flows = [], [], "patches"
    extent = (PATCH_FRAMES, MEL_BANDS)
    for conv, (kernel, bias) in zip(convolutions(), fold(weights), strict=True):
        # ONNX wants [out, in / groups, h, w]; a depthwise kernel is [h, w, channels, 1].
        order = (2, 3, 0, 1) if conv.is_depthwise else (3, 2, 0, 1)
        kernel = np.ascontiguousarray(kernel.transpose(order))
        constants += [
            numpy_helper.from_array(kernel, f"{conv.layer}/w"),
            numpy_helper.from_array(bias, f"{conv.layer}/b"),
        ]
        size = kernel.shape[2]
        nodes.append(
            helper.make_node(
                "Conv",
                [flows, f"{conv.layer}/w", f"{conv.layer}/b"],
                [conv.layer],
                kernel_shape=[size, size],
                strides=[conv.stride, conv.stride],
                pads=_same_padding(extent, size, conv.stride),
                group=conv.channels if conv.is_depthwise else 1,
            )
        )
        flows = f"{conv.layer}/relu"
        nodes.append(helper.make_node("Relu", [conv.layer], [flows]))
        extent = tuple(-(-length // conv.stride) for length in extent)
    nodes.append(helper.make_node("GlobalAveragePool", [flows], ["mean"]))
    nodes.append(helper.make_node("Flatten", ["mean"], ["embeddings"]))
    tensor = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "yamnet",
        [tensor("patches", TensorProto.FLOAT, ["N", 1, PATCH_FRAMES, MEL_BANDS])],
        [tensor("embeddings", TensorProto.FLOAT, ["N", EMBEDDING_DIM])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _same_padding(extent: tuple[int, ...], size: int, stride: int) -> list[int]:
    """TensorFlow's `same`: what is missing for `ceil(length / stride)` outputs, the odd zero at the end."""
    missing = [max((-(-length // stride) - 1) * stride + size - length, 0) for length in extent]
    return [zeros // 2 for zeros in missing] + [zeros - zeros // 2 for zeros in missing]
