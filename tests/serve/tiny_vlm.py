"""A Qwen2-VL of 7 million random parameters with SmolLM2's tokenizer, and a LoRA adapter of it, for a real engine."""

import json
from pathlib import Path

VISION = ("<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>")
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' or 'image' in part or 'image_url' in part %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif part['type'] == 'video' or 'video' in part %}<|vision_start|><|video_pad|><|vision_end|>"
    "{% elif 'text' in part %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def build(folder: Path) -> Path:
    """The model's folder, made once."""
    if (folder / "config.json").exists():
        return folder
    import torch
    from transformers import AutoTokenizer, Qwen2VLConfig, Qwen2VLForConditionalGeneration

    from actors.starter_models import starter_text_model

    tokenizer = AutoTokenizer.from_pretrained(starter_text_model())
    tokenizer.add_special_tokens({"extra_special_tokens": list(VISION)})
    tokenizer.chat_template = TEMPLATE
    ids = {name: tokenizer.convert_tokens_to_ids(name) for name in VISION}
    config = Qwen2VLConfig(
        text_config={
            "hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4,
            "num_key_value_heads": 2, "vocab_size": 49216, "max_position_embeddings": 2048, "tie_word_embeddings": True,
            "bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id,
            "rope_parameters": {"rope_type": "default", "type": "mrope", "rope_theta": 100000.0, "mrope_section": [4, 6, 6]},
        },
        vision_config={"depth": 1, "embed_dim": 64, "num_heads": 2, "hidden_size": 128, "mlp_ratio": 2, "patch_size": 14},
        image_token_id=ids["<|image_pad|>"], video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"], vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=True,
    )  # fmt: skip
    torch.manual_seed(0)
    model = Qwen2VLForConditionalGeneration(config)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    size = {"min_pixels": 28 * 28 * 4, "max_pixels": 28 * 28 * 64}
    common = {"patch_size": 14, "merge_size": 2, "temporal_patch_size": 2, **size}
    image = {"image_processor_type": "Qwen2VLImageProcessor", "processor_class": "Qwen2VLProcessor", **common}
    (folder / "preprocessor_config.json").write_text(json.dumps(image))
    video = {"video_processor_type": "Qwen2VLVideoProcessor", "processor_class": "Qwen2VLProcessor", **common}
    (folder / "video_preprocessor_config.json").write_text(json.dumps(video))
    return folder


def adapter(model: Path, folder: Path, *, rank: int = 8, target: str = "q_proj") -> Path:
    """A LoRA adapter that changes the model's answers."""
    import peft
    import torch
    from transformers import Qwen2VLForConditionalGeneration

    if (folder / "adapter_config.json").exists():
        return folder
    base = Qwen2VLForConditionalGeneration.from_pretrained(model)
    pattern = rf".*language_model.*\.{target}" if target != "qkv" else r".*visual.*\.qkv"
    tuned = peft.get_peft_model(base, peft.LoraConfig(r=rank, lora_alpha=64, target_modules=pattern))
    torch.manual_seed(1)
    for name, parameter in tuned.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.5)
    tuned.save_pretrained(folder)
    return folder


if __name__ == "__main__":
    import sys

    print(build(Path(sys.argv[1])))
    print(adapter(Path(sys.argv[1]), Path(sys.argv[2])))
