"""The starter vision-language model: a real Qwen2-VL that speaks English, made of SmolLM2-135M and a small blind eye.

Its language model is SmolLM2 to the last weight, its vision tower is random: it answers text as SmolLM2 does, and
fine-tuning teaches it to see. transformers and vLLM load the folder like any other Qwen2-VL.
"""

import hashlib
from pathlib import Path
from typing import Any

from actors.starter_models import cache_folder, gguf_hash, made_once, starter_text_model

VERSION = 1
"""Goes up whenever the folder's content changes."""
VISION_TOKENS = ("<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>")
VOCABULARY = 49216
"""SmolLM2's 49152 tokens and the five above, padded to a multiple of 64."""
PIXELS_PER_TOKEN = 28 * 28
MAX_IMAGE_TOKENS = 100
"""A picture of 280 x 280: 0.4 s of training on two cores."""
MAX_FRAME_TOKENS = 64
VISION = {"depth": 4, "embed_dim": 192, "num_heads": 3, "patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2}

CHAT_TEMPLATE = """\
{% for message in messages %}\
{% if loop.first and message['role'] != 'system' %}<|im_start|>system
You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>
{% endif %}\
<|im_start|>{{ message['role'] }}
{% if message['content'] is string %}{{ message['content'] }}\
{% else %}{% for part in message['content'] %}\
{% if part['type'] in ('image', 'image_url') or 'image' in part %}<|vision_start|><|image_pad|><|vision_end|>\
{% elif part['type'] == 'video' or 'video' in part %}<|vision_start|><|video_pad|><|vision_end|>\
{% elif 'text' in part %}{{ part['text'] }}{% endif %}\
{% endfor %}{% endif %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
"""SmolLM2's own turns, with Qwen2-VL's marks for pictures and films."""


def starter_vlm() -> Path:
    """The model's folder in the cache: weights, configuration, tokenizer, processors, chat template."""
    name = f"starter-vlm-{gguf_hash()[:12]}-{_recipe_hash()}"
    return made_once(cache_folder() / name, lambda folder: build(starter_text_model(), folder))


def _recipe_hash() -> str:
    parts = (VERSION, VOCABULARY, MAX_IMAGE_TOKENS, MAX_FRAME_TOKENS, sorted(VISION.items()), CHAT_TEMPLATE)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:8]


def build(text_model: Path, folder: Path, *, seed: int = 0) -> None:
    """Write the Qwen2-VL made of the Llama-shaped `text_model` into `folder`."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, Qwen2VLForConditionalGeneration

    tokenizer = AutoTokenizer.from_pretrained(str(text_model), local_files_only=True)
    tokenizer.add_special_tokens({"additional_special_tokens": list(VISION_TOKENS)})
    tokenizer.eos_token, tokenizer.pad_token = "<|im_end|>", "<|endoftext|>"
    text = AutoModelForCausalLM.from_pretrained(str(text_model), dtype=torch.float32, local_files_only=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Qwen2VLForConditionalGeneration(_config(text.config, tokenizer)).to(torch.float32)
    _copy(text, model)
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, do_sample=False
    )
    model.save_pretrained(folder)
    processor(tokenizer).save_pretrained(folder)


def processor(tokenizer: Any) -> Any:
    """Text, pictures and films to tensors, at the starter's sizes."""
    from transformers import Qwen2VLImageProcessor, Qwen2VLProcessor, Qwen2VLVideoProcessor

    smallest = 4 * PIXELS_PER_TOKEN
    return Qwen2VLProcessor(
        image_processor=Qwen2VLImageProcessor(min_pixels=smallest, max_pixels=MAX_IMAGE_TOKENS * PIXELS_PER_TOKEN),
        video_processor=Qwen2VLVideoProcessor(
            size={"shortest_edge": smallest, "longest_edge": MAX_FRAME_TOKENS * PIXELS_PER_TOKEN},
            cap_pixels_per_frame=False,
        ),
        tokenizer=tokenizer,
        chat_template=CHAT_TEMPLATE,
    )


def _config(text: Any, tokenizer: Any) -> Any:
    from transformers import Qwen2VLConfig

    heads = text.num_attention_heads
    half = text.hidden_size // heads // 2
    sections = [half // 4, (half - half // 4) // 2, (half - half // 4) // 2]  # Qwen2-VL's proportions: 16, 24, 24 of 64
    shape = {
        "vocab_size": VOCABULARY,
        "hidden_size": text.hidden_size,
        "intermediate_size": text.intermediate_size,
        "num_hidden_layers": text.num_hidden_layers,
        "num_attention_heads": heads,
        "num_key_value_heads": text.num_key_value_heads,
        "rms_norm_eps": text.rms_norm_eps,
        "max_position_embeddings": text.max_position_embeddings,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": text.rope_parameters["rope_theta"],
            "mrope_section": sections,
        },
        "bos_token_id": tokenizer.convert_tokens_to_ids("<|im_start|>"),
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "tie_word_embeddings": True,
        "dtype": "float32",
    }
    ids = dict(zip(VISION_TOKENS, tokenizer.convert_tokens_to_ids(list(VISION_TOKENS)), strict=True))
    return Qwen2VLConfig(
        text_config=shape,
        vision_config={**VISION, "hidden_size": text.hidden_size},
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        tie_word_embeddings=True,
        dtype="float32",
    )


def _copy(text: Any, model: Any) -> None:
    """SmolLM2's weights into the language model; what Qwen2 has and Llama has not, the biases, is zero."""
    import torch

    weights = text.model.state_dict()
    known = weights["embed_tokens.weight"]
    filling = known.mean(dim=0, keepdim=True).expand(VOCABULARY - len(known), -1)  # an average token is never likely
    weights["embed_tokens.weight"] = torch.cat([known, filling])
    result = model.model.language_model.load_state_dict(weights, strict=False)
    if result.unexpected_keys or not all(k.endswith("_proj.bias") for k in result.missing_keys):
        raise ValueError(f"the text model's shape is not a Llama's: {result}")
    with torch.no_grad():
        for layer in model.model.language_model.layers:
            for projection in (layer.self_attn.q_proj, layer.self_attn.k_proj, layer.self_attn.v_proj):
                projection.bias.zero_()
    model.tie_weights()
