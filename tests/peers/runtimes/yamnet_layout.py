"""The shape of YAMNet and of its Keras weights file (YAMNet's `yamnet.py` and `params.py`)."""

from collections.abc import Iterator
from dataclasses import dataclass

SAMPLE_RATE_HZ = 16_000
PATCH_FRAMES, MEL_BANDS = 96, 64
EMBEDDING_DIM, CLASSES = 1024, 521
BATCH_NORM_EPSILON = 1e-4
STEM_CHANNELS = 32
BLOCKS = (  # stride of the depthwise, output channels of the pointwise convolution
    (1, 64), (2, 128), (1, 128), (2, 256), (1, 256), (2, 512), (1, 512),
    (1, 512), (1, 512), (1, 512), (1, 512), (2, 1024), (1, 1024),
)  # fmt: skip


@dataclass(frozen=True)
class Convolution:
    """A convolution without bias, behind it batch normalisation without scale, and a rectifier."""

    layer: str
    variable: str
    kernel_shape: tuple[int, int, int, int]  # TensorFlow's order
    stride: int
    channels: int

    @property
    def is_depthwise(self) -> bool:
        return self.variable == "depthwise_kernel"


def convolutions() -> Iterator[Convolution]:
    """All 27 in the order of the network."""
    yield Convolution("layer1/conv", "kernel", (3, 3, 1, STEM_CHANNELS), 2, STEM_CHANNELS)
    inputs = STEM_CHANNELS
    for number, (stride, channels) in enumerate(BLOCKS, start=2):
        layer = f"layer{number}/depthwise_conv"
        yield Convolution(layer, "depthwise_kernel", (3, 3, inputs, 1), stride, inputs)
        yield Convolution(f"layer{number}/pointwise_conv", "kernel", (1, 1, inputs, channels), 1, channels)
        inputs = channels


def tensors() -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names `<layer>/<variable>` and shapes of all tensors of the file."""
    for conv in convolutions():
        yield f"{conv.layer}/{conv.variable}", conv.kernel_shape
        for variable in ("beta", "moving_mean", "moving_variance"):
            yield f"{conv.layer}/bn/{variable}", (conv.channels,)
    yield "logits/kernel", (EMBEDDING_DIM, CLASSES)
    yield "logits/bias", (CLASSES,)
