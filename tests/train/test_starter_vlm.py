import numpy as np
import PIL.Image
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, AutoProcessor

from actors.starter_models import starter_text_model
from train.starter_vlm import MAX_IMAGE_TOKENS, VOCABULARY, starter_vlm


@pytest.fixture(scope="module")
def vlm():
    return AutoModelForImageTextToText.from_pretrained(starter_vlm())


@pytest.fixture(scope="module")
def processor():
    return AutoProcessor.from_pretrained(starter_vlm())


def _inputs(processor, content):
    return processor.apply_chat_template(
        [{"role": "user", "content": content}],
        tokenize=True, return_dict=True, return_tensors="pt", add_generation_prompt=True,
    )  # fmt: skip


def test_text_is_answered_as_by_smollm2(vlm, processor):
    text_model = AutoModelForCausalLM.from_pretrained(starter_text_model())
    inputs = _inputs(processor, "What is pneumonia?")
    with torch.no_grad():
        expected = text_model(input_ids=inputs["input_ids"]).logits
        found = vlm(**inputs).logits
    known = expected.shape[-1]
    torch.testing.assert_close(found[..., :known], expected, atol=2e-3, rtol=1e-3)
    assert (found.argmax(-1) < known).all()


def test_it_is_the_model_of_the_design(vlm, processor):
    text = vlm.config.text_config
    assert sum(p.numel() for p in vlm.parameters()) == 137_619_840
    assert (text.vocab_size, text.num_hidden_layers, text.num_key_value_heads) == (VOCABULARY, 30, 3)
    assert text.rope_parameters == {"rope_type": "default", "rope_theta": 100000.0, "mrope_section": [8, 12, 12]}
    assert vlm.get_input_embeddings().weight is vlm.lm_head.weight
    image_pad = processor.tokenizer.convert_tokens_to_ids("<|image_pad|>")
    assert image_pad == vlm.config.image_token_id == processor.image_token_id
    assert vlm.generation_config.eos_token_id == processor.tokenizer.convert_tokens_to_ids("<|im_end|>")


def test_pictures_and_films_go_in(vlm, processor):
    picture = PIL.Image.fromarray(np.arange(600 * 500 * 3, dtype=np.uint32).reshape(500, 600, 3).astype(np.uint8))
    seen = _inputs(processor, [{"type": "image", "image": picture}, {"type": "text", "text": "What is shown?"}])
    tokens = int((seen["input_ids"] == vlm.config.image_token_id).sum())
    assert 80 < tokens <= MAX_IMAGE_TOKENS
    with torch.no_grad():
        dark = vlm(**{**seen, "pixel_values": seen["pixel_values"] * 0 - 1}).logits[0, -1]
        shown = vlm(**seen).logits[0, -1]
    assert not torch.allclose(dark, shown)  # the picture reaches the words
    film = processor(text=["<|vision_start|><|video_pad|><|vision_end|>"], videos=[np.zeros((4, 112, 112, 3), np.uint8)],
                     return_tensors="pt")  # fmt: skip
    assert film["video_grid_thw"].tolist() == [[2, 8, 8]]
    with torch.no_grad():
        assert torch.isfinite(vlm(**film).logits).all()
