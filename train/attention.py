"""FlashAttention-2 as PyTorch ships it: nothing to compile, and every document of a pack attends to itself without a mask.

Dao, FlashAttention-2: Faster Attention with Better Parallelism and Work Partitioning (2023). transformers calls the
function below wherever a model's attention is called `FLASH`: in the language model with the documents' ends, which the
batch knows, and in the eye with the pictures'.
"""

from typing import Any

FLASH = "flash_varlen"
"""transformers takes whatever has `flash` in its name for such a function."""


def use_flash(model: Any) -> None:
    """Let all of a model's attention be `flash`."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import flash_attention_mask

    AttentionInterface.register(FLASH, flash)
    AttentionMaskInterface.register(FLASH, flash_attention_mask)
    model.config._attn_implementation = FLASH  # set_attn_implementation would look for a package of that name


def flash(
    module: Any, query: Any, key: Any, value: Any, attention_mask: Any, *, scaling: float, cu_seq_lens_q: Any,
    max_length_q: int, is_causal: bool | None = None, **_: Any,
) -> tuple[Any, None]:
    """Attention within each stretch of one sequence, in half precision.

    Args:
        module: Says with `is_causal` whether a token sees only what stands before it, unless the argument does.
        query: (1, heads, length, size); `key` and `value` (1, fewer or as many heads, length, size).
        attention_mask: None; there is no padding.
        scaling: Of the scores.
        cu_seq_lens_q: (stretches + 1,), int32: where each begins, and the last one's end.
        max_length_q: Length of the longest.
        is_causal: See `module`.

    Returns:
        (1, length, heads, size), and no weights.

    Raises:
        ValueError: it is told to mask.
    """
    import torch
    from torch.nn.attention.varlen import varlen_attn

    if attention_mask is not None:
        raise ValueError("A packed sequence has no padding to be masked.")
    half = torch.get_autocast_dtype(query.device.type) if query.dtype == torch.float32 else query.dtype
    tokens = [x[0].transpose(0, 1).to(half) for x in (query, key, value)]
    causal = module.is_causal if is_causal is None else is_causal
    seen = varlen_attn(
        *tokens, cu_seq_lens_q, cu_seq_lens_q, max_length_q, max_length_q, scale=scaling,
        window_size=(-1, 0 if causal else -1), enable_gqa=True,
    )  # fmt: skip
    return seen[None], None
