"""What training costs in floating-point operations, and what a card could do: model FLOPs utilisation (MFU)."""

from typing import Any

from train.batch import Batch
from train.parts import part

PEAK_FLOPS = {
    "H100 PCIe": 756e12, "H100 NVL": 835e12, "H100": 989e12, "H200": 989e12, "A100": 312e12, "L40S": 362e12,
    "L4": 121e12, "A10G": 70e12, "B200": 2250e12,
}  # fmt: skip
"""Dense bf16, from NVIDIA's data sheets."""


def peak_flops(device: str) -> float | None:
    """Of one card; None where it is not known."""
    words = device.replace("-", " ").split()
    return next((peak for name, peak in PEAK_FLOPS.items() if set(name.split()) <= set(words)), None)


class Flops:
    """What a batch costs a Qwen2-VL, forward and backward, in floating-point operations; work done twice counts once.

    Two for each weight and each of what it meets (a patch, a visual token, a token, a learned token at the head), as
    many again for a gradient that passes it, and for its own (Chowdhery et al., PaLM, 2022, appendix B); and attention's,
    each document and each frame for itself.
    """

    def __init__(self, model: Any) -> None:
        def weights(name: str, *, learned: bool) -> int:
            return sum(p.numel() for n, p in model.named_parameters() if part(n) == name and p.requires_grad == learned)

        def cost(name: str, passed: bool) -> float:
            return 6.0 * weights(name, learned=True) + (4.0 if passed else 2.0) * weights(name, learned=False)

        eye_learns = weights("vision", learned=True) > 0
        text, eye = model.config.get_text_config(), model.config.vision_config
        self._patch, self._visual = cost("vision", False), cost("projector", eye_learns)
        self._token = cost("language", True)
        learned = model.get_output_embeddings().weight.requires_grad
        self._target = (6.0 if learned else 4.0) * int(text.vocab_size * text.hidden_size)
        self._merged = int(eye.spatial_merge_size) ** 2
        self._attention = 6.0 * int(text.num_hidden_layers * text.hidden_size)  # causal: half of all pairs
        self._eye_attention = (12.0 if eye_learns else 4.0) * int(eye.depth * eye.embed_dim)

    def __call__(self, batch: Batch) -> float:
        """Of one sequence."""
        grids = [g for name in ("image_grid_thw", "video_grid_thw") for g in batch.vision.get(name, ())]
        frames = [(int(t), int(h) * int(w)) for t, h, w in grids]
        patches = sum(count * size for count, size in frames)
        pairs = float((batch.ends.diff().double() ** 2).sum())
        eye = self._patch * patches + self._eye_attention * sum(count * float(size) ** 2 for count, size in frames)
        language = self._token * batch.tokens + self._target * batch.targets + self._attention * pairs
        return eye + self._visual * patches / self._merged + language
